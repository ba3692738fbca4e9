//! gateway-agent.
