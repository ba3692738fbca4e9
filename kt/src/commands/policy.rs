//! `kt policy …`

pub(crate) mod lint;
