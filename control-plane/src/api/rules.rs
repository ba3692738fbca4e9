//! Who may call which method: one row an RPC, and what has no row is refused.

/// Whose credential a method needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// No credential: says nothing but that the server lives.
    Anyone,
    Operator,
    /// The agent of the gateway that it is about.
    Agent,
}

/// One method; `name` is also its label in logs and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) access: Access,
}

const RULES: &[Rule] = &[
    rule("kt.fleet.v1.ConfigService/PushConfig", Access::Operator),
    rule("kt.fleet.v1.ConfigService/GetConfig", Access::Operator),
    rule("kt.fleet.v1.ConfigService/ListConfigs", Access::Operator),
    rule("kt.fleet.v1.ConfigService/ListRevisions", Access::Operator),
    rule("kt.fleet.v1.ConfigService/DiffConfigs", Access::Operator),
    rule("kt.fleet.v1.FleetService/CreateFleet", Access::Operator),
    rule("kt.fleet.v1.FleetService/GetFleet", Access::Operator),
    rule("kt.fleet.v1.FleetService/ListFleets", Access::Operator),
    rule("kt.fleet.v1.GatewayService/Enroll", Access::Operator),
    rule("kt.fleet.v1.GatewayService/GetGateway", Access::Operator),
    rule("kt.fleet.v1.GatewayService/ListGateways", Access::Operator),
    rule("kt.fleet.v1.RolloutService/StartRollout", Access::Operator),
    rule("kt.fleet.v1.RolloutService/GetRollout", Access::Operator),
    rule("kt.fleet.v1.RolloutService/ListRollouts", Access::Operator),
    rule("kt.fleet.v1.RolloutService/WatchRollout", Access::Operator),
    rule("kt.fleet.v1.HistoryService/ListEvents", Access::Operator),
    rule("kt.fleet.v1.HistoryService/TailEvents", Access::Operator),
    rule("kt.fleet.v1.HistoryService/InForceAt", Access::Operator),
    rule("kt.fleet.v1.DeliveryService/Attach", Access::Agent),
    rule("grpc.health.v1.Health/Check", Access::Anyone),
    rule("grpc.health.v1.Health/Watch", Access::Operator),
    rule("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Access::Operator),
    rule("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Access::Operator),
];

/// The rule of a request's path, which is `/` and the method's name.
pub(crate) fn of_path(path: &str) -> Option<Rule> {
    let name = path.strip_prefix('/')?;
    RULES.iter().copied().find(|rule| rule.name == name)
}

const fn rule(name: &'static str, access: Access) -> Rule {
    Rule { name, access }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn every_method_of_ours_has_a_rule_and_every_rule_a_method() {
        let files = prost_types::FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
        let mut methods = Vec::new();
        for file in files.file {
            for service in &file.service {
                let service_name = format!("{}.{}", file.package(), service.name());
                methods
                    .extend(service.method.iter().map(|method| format!("/{service_name}/{}", method.name())));
            }
        }
        assert!(!methods.is_empty());
        for method in &methods {
            assert!(of_path(method).is_some(), "{method} has no rule");
        }
        let ours = RULES.iter().filter(|rule| rule.name.starts_with("kt."));
        for rule in ours {
            assert!(methods.contains(&format!("/{}", rule.name)), "{} has no method", rule.name);
        }
    }

    #[test]
    fn other_paths_have_none() {
        for path in ["", "/", "kt.fleet.v1.FleetService/GetFleet", "/kt.fleet.v1.FleetService", "//x"] {
            assert_eq!(of_path(path), None, "{path}");
        }
    }
}
