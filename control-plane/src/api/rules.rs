//! Who may call which method, and what it needs: one row an RPC, and what has no row is refused.

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
    /// Follows something for an operator, for as long as that one likes.
    pub(crate) streams: bool,
    pub(crate) need: Need,
}

/// What a method needs the database for, and so what becomes of a call while that is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// It lives without it, or looks after itself.
    Nothing,
    /// It changes nothing and answers once: the last answer is told.
    Question,
    /// It changes something, or answers with a stream of news: refused.
    Order,
}

const RULES: &[Rule] = &[
    rule("kt.fleet.v1.ConfigService/PushConfig", Access::Operator, Need::Order),
    rule("kt.fleet.v1.ConfigService/GetConfig", Access::Operator, Need::Question),
    rule("kt.fleet.v1.ConfigService/ListConfigs", Access::Operator, Need::Question),
    rule("kt.fleet.v1.ConfigService/ListRevisions", Access::Operator, Need::Question),
    rule("kt.fleet.v1.ConfigService/DiffConfigs", Access::Operator, Need::Question),
    rule("kt.fleet.v1.FleetService/CreateFleet", Access::Operator, Need::Order),
    rule("kt.fleet.v1.FleetService/GetFleet", Access::Operator, Need::Question),
    rule("kt.fleet.v1.FleetService/ListFleets", Access::Operator, Need::Question),
    rule("kt.fleet.v1.GatewayService/Enroll", Access::Operator, Need::Order),
    rule("kt.fleet.v1.GatewayService/GetGateway", Access::Operator, Need::Question),
    rule("kt.fleet.v1.GatewayService/ListGateways", Access::Operator, Need::Question),
    rule("kt.fleet.v1.RolloutService/StartRollout", Access::Operator, Need::Order),
    rule("kt.fleet.v1.RolloutService/GetRollout", Access::Operator, Need::Question),
    rule("kt.fleet.v1.RolloutService/ListRollouts", Access::Operator, Need::Question),
    follows("kt.fleet.v1.RolloutService/WatchRollout", Need::Order),
    rule("kt.fleet.v1.HistoryService/ListEvents", Access::Operator, Need::Question),
    follows("kt.fleet.v1.HistoryService/TailEvents", Need::Order),
    rule("kt.fleet.v1.HistoryService/InForceAt", Access::Operator, Need::Question),
    rule("kt.fleet.v1.DeliveryService/Attach", Access::Agent, Need::Nothing),
    rule("grpc.health.v1.Health/Check", Access::Anyone, Need::Nothing),
    follows("grpc.health.v1.Health/Watch", Need::Nothing),
    follows("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Need::Nothing),
    follows("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Need::Nothing),
];

/// The rule of a request's path, which is `/` and the method's name.
pub(crate) fn of_path(path: &str) -> Option<Rule> {
    let name = path.strip_prefix('/')?;
    RULES.iter().copied().find(|rule| rule.name == name)
}

const fn rule(name: &'static str, access: Access, need: Need) -> Rule {
    Rule { name, access, streams: false, need }
}

const fn follows(name: &'static str, need: Need) -> Rule {
    Rule { name, access: Access::Operator, streams: true, need }
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

    /// Only what is named as a read can be answered from memory.
    #[test]
    fn what_is_asked_twice_changes_nothing() {
        for rule in RULES.iter().filter(|rule| rule.need == Need::Question) {
            let method = rule.name.split('/').nth(1).unwrap();
            let reads = ["Get", "List", "Diff", "InForceAt"];
            assert!(reads.iter().any(|verb| method.starts_with(verb)), "{method}");
            assert_eq!(rule.access, Access::Operator, "{method}");
        }
    }

    #[test]
    fn what_streams_to_operators_is_marked() {
        let files = prost_types::FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
        let services =
            files.file.iter().flat_map(|file| file.service.iter().map(move |service| (file, service)));
        for (file, service) in services {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                let rule = of_path(&path).unwrap();
                let follows = method.server_streaming() && rule.access == Access::Operator;
                assert_eq!(rule.streams, follows, "{path}");
            }
        }
    }

    #[test]
    fn other_paths_have_none() {
        for path in ["", "/", "kt.fleet.v1.FleetService/GetFleet", "/kt.fleet.v1.FleetService", "//x"] {
            assert_eq!(of_path(path), None, "{path}");
        }
    }
}
