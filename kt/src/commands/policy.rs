//! `kt policy …`

pub(crate) mod diff;
pub(crate) mod init;
pub(crate) mod lint;
pub(crate) mod pack;
pub(crate) mod test;
