//! pg-private.
