//! `kt gateway …`

pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod run;
