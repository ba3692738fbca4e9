//! Every method × no, wrong, the agent's and the operator's credential.

use prost::Message;
use tonic::Code;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataValue;

use tests::plane::Plane;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Caller {
    Nobody,
    Stranger,
    Agent,
    Operator,
}

#[tokio::test]
async fn every_method_admits_its_callers_and_nobody_else() {
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let agent = plane.enroll("prod", "edge-1").await;
    let stranger = format!("kt_{}", "A".repeat(43));
    for method in methods() {
        let for_agents = method.ends_with("/Attach");
        for caller in [Caller::Nobody, Caller::Stranger, Caller::Agent, Caller::Operator] {
            let token = match caller {
                Caller::Nobody => None,
                Caller::Stranger => Some(stranger.as_str()),
                Caller::Agent => Some(agent.0.as_str()),
                Caller::Operator => Some(plane.operator.0.as_str()),
            };
            let code = call(&plane, &method, token).await;
            match caller {
                Caller::Nobody | Caller::Stranger => {
                    assert_eq!(code, Code::Unauthenticated, "{caller:?} {method}")
                }
                Caller::Agent | Caller::Operator => {
                    let admitted = for_agents == (caller == Caller::Agent);
                    assert_eq!(code != Code::PermissionDenied, admitted, "{caller:?} {method}: {code:?}");
                    assert_ne!(code, Code::Unauthenticated, "{caller:?} {method}");
                }
            }
        }
    }
    let unknown = "/kt.fleet.v1.FleetService/DropEverything";
    assert_eq!(call(&plane, unknown, None).await, Code::Unauthenticated);
    assert_eq!(call(&plane, unknown, Some(&plane.operator.0)).await, Code::Unimplemented);
    plane.end().await;
}

#[tokio::test]
async fn a_replaced_credential_is_worth_nothing() {
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let first = plane.enroll("prod", "edge-1").await;
    let second = plane.enroll("prod", "edge-1").await;
    let attach = "/kt.fleet.v1.DeliveryService/Attach";
    assert_eq!(call(&plane, attach, Some(&first.0)).await, Code::Unauthenticated);
    assert_ne!(call(&plane, attach, Some(&second.0)).await, Code::Unauthenticated);
    plane.end().await;
}

#[tokio::test]
async fn health_is_told_to_anyone() {
    let plane = Plane::start().await;
    assert_eq!(call(&plane, "/grpc.health.v1.Health/Check", None).await, Code::Ok);
    for closed in [
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ] {
        assert_eq!(call(&plane, closed, None).await, Code::Unauthenticated, "{closed}");
    }
    plane.end().await;
}

/// Calls with an empty message and answers the code with which the answer begins.
async fn call(plane: &Plane, path: &str, token: Option<&str>) -> Code {
    let mut client = Grpc::new(plane.channel());
    client.ready().await.unwrap();
    let mut request = tonic::Request::new(tokio_stream::once(()));
    if let Some(token) = token {
        let value: MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let answer = client.streaming(request, PathAndQuery::try_from(path).unwrap(), codec).await;
    answer.map_or_else(|status| status.code(), |_| Code::Ok)
}

fn methods() -> Vec<String> {
    let files = prost_types::FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let services = files.file.iter().flat_map(|file| file.service.iter().map(move |service| (file, service)));
    let methods: Vec<String> = services
        .flat_map(|(file, service)| {
            let service_name = format!("/{}.{}", file.package(), service.name());
            service.method.iter().map(move |method| format!("{service_name}/{}", method.name()))
        })
        .collect();
    assert!(methods.len() >= 19, "{methods:?}");
    methods
}
