//! Which command lines are valid.
