//! DeliveryService: hands the stream of an authenticated agent to a session of its own.

use std::sync::Arc;

use proto::v1;
use proto::v1::delivery_service_server::DeliveryService;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::auth;
use crate::delivery::{Hub, outbound, session};

#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) hub: Arc<Hub>,
}

#[tonic::async_trait]
impl DeliveryService for Delivery {
    type AttachStream = ReceiverStream<Result<v1::ToAgent, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<v1::FromAgent>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (gateway, path) = auth::agent(&request)?;
        let agent = session::Agent { gateway, path, proof: auth::proof(&request)? };
        let (sender, receiver) = mpsc::channel(outbound::CAPACITY);
        let session = session::run(self.hub.clone(), agent, request.into_inner(), sender);
        self.hub.drain.spawn("session", session);
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}
