//! Which keys a pack may name.
