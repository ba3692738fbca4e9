//! The fleet loop against a real control plane and real gateways, all started by `kt dev`.
