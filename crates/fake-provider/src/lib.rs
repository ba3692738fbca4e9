//! fake-provider.
