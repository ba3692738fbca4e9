//! FleetService and GatewayService: convert → one operation or one read → convert.

use fleet_core::gateway::{FleetName, GatewayName, GatewayPath, Labels};
use proto::convert::scalars::{parse, parse_optional};
use proto::v1::fleet_service_server::FleetService;
use proto::v1::gateway_service_server::GatewayService;
use proto::{WireError, v1};
use tonic::{Request, Response, Status};

use super::history::{unknown_fleet, unknown_gateway};
use super::paging::{Listing, page_size};
use super::{auth, status, wire};
use crate::operations::{self, Context, EnrollGateway};
use crate::store::fleets::{fleet_get, fleet_list};
use crate::store::gateways::{gateway_get, gateway_list};

/// What became of the newest assignments, in one gateway's answer.
const OUTCOMES: u32 = 20;

#[derive(Debug, Clone)]
pub(crate) struct Fleets {
    pub(crate) context: Context,
}

#[derive(Debug, Clone)]
pub(crate) struct Gateways {
    pub(crate) context: Context,
}

#[tonic::async_trait]
impl FleetService for Fleets {
    async fn create_fleet(
        &self,
        request: Request<v1::CreateFleetRequest>,
    ) -> Result<Response<v1::Fleet>, Status> {
        let principal = auth::principal(&request)?;
        let name: FleetName = parse("name", &request.get_ref().name).map_err(status::refuse)?;
        let fleet =
            operations::create_fleet(&self.context, &principal, name).await.map_err(status::refuse)?;
        Ok(Response::new(wire::fleet(fleet)))
    }

    async fn get_fleet(&self, request: Request<v1::GetFleetRequest>) -> Result<Response<v1::Fleet>, Status> {
        let name: FleetName = parse("name", &request.get_ref().name).map_err(status::refuse)?;
        match fleet_get(&self.context.store, &name).await.map_err(status::refuse)? {
            Some(fleet) => Ok(Response::new(wire::fleet(fleet))),
            None => Err(status::refuse(unknown_fleet(&self.context, &name).await)),
        }
    }

    async fn list_fleets(
        &self,
        request: Request<v1::ListFleetsRequest>,
    ) -> Result<Response<v1::ListFleetsResponse>, Status> {
        let request = request.into_inner();
        let listing = Listing { name: "fleets", filter: "" };
        let size = page_size(request.page_size).map_err(status::refuse)?;
        let after: Option<FleetName> = listing.after(&request.page_token).map_err(status::refuse)?;
        let page = fleet_list(&self.context.store, after.as_ref(), size).await.map_err(status::refuse)?;
        Ok(Response::new(v1::ListFleetsResponse {
            fleets: page.items.into_iter().map(wire::fleet).collect(),
            next_page_token: listing.token(page.next),
        }))
    }
}

#[tonic::async_trait]
impl GatewayService for Gateways {
    async fn enroll(
        &self,
        request: Request<v1::EnrollRequest>,
    ) -> Result<Response<v1::EnrollResponse>, Status> {
        let principal = auth::principal(&request)?;
        let order = enrolment(request.into_inner()).map_err(status::refuse)?;
        let path = order.path.clone();
        let enrolled =
            operations::enroll_gateway(&self.context, &principal, order).await.map_err(status::refuse)?;
        Ok(Response::new(v1::EnrollResponse {
            gateway_id: enrolled.id.to_string(),
            credential: enrolled.credential.expose().to_owned(),
            fleet: path.fleet.to_string(),
            name: path.name.to_string(),
        }))
    }

    async fn get_gateway(
        &self,
        request: Request<v1::GetGatewayRequest>,
    ) -> Result<Response<v1::Gateway>, Status> {
        let path = gateway_path(&request.get_ref().fleet, &request.get_ref().name).map_err(status::refuse)?;
        match gateway_get(&self.context.store, &path, OUTCOMES).await.map_err(status::refuse)? {
            Some((gateway, outcomes)) => Ok(Response::new(wire::gateway(gateway, outcomes))),
            None => Err(status::refuse(unknown_gateway(&self.context, &path).await)),
        }
    }

    async fn list_gateways(
        &self,
        request: Request<v1::ListGatewaysRequest>,
    ) -> Result<Response<v1::ListGatewaysResponse>, Status> {
        let request = request.into_inner();
        let fleet: Option<FleetName> = parse_optional("fleet", &request.fleet).map_err(status::refuse)?;
        let listing = Listing { name: "gateways", filter: &request.fleet };
        let size = page_size(request.page_size).map_err(status::refuse)?;
        let after: Option<GatewayPath> = listing.after(&request.page_token).map_err(status::refuse)?;
        let store = &self.context.store;
        let page = gateway_list(store, fleet.as_ref(), after.as_ref(), size).await.map_err(status::refuse)?;
        if let Some(fleet) = fleet.filter(|_| page.items.is_empty())
            && fleet_get(store, &fleet).await.map_err(status::refuse)?.is_none()
        {
            return Err(status::refuse(unknown_fleet(&self.context, &fleet).await));
        }
        Ok(Response::new(v1::ListGatewaysResponse {
            gateways: page.items.into_iter().map(|gateway| wire::gateway(gateway, Vec::new())).collect(),
            next_page_token: listing.token(page.next),
        }))
    }
}

fn enrolment(wire: v1::EnrollRequest) -> Result<EnrollGateway, WireError> {
    let printable = wire.agent_version.bytes().all(|byte| byte.is_ascii_graphic());
    if wire.agent_version.is_empty() || wire.agent_version.len() > 64 || !printable {
        return Err(WireError::new("agent_version", "is 1-64 printable ASCII characters"));
    }
    Ok(EnrollGateway {
        path: gateway_path(&wire.fleet, &wire.name)?,
        labels: Labels::new(wire.labels).map_err(|error| WireError::new("labels", error.to_string()))?,
        agent_version: wire.agent_version,
    })
}

fn gateway_path(fleet: &str, name: &str) -> Result<GatewayPath, WireError> {
    Ok(GatewayPath { fleet: parse::<FleetName>("fleet", fleet)?, name: parse::<GatewayName>("name", name)? })
}
