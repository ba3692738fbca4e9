//! The link to the control plane.
