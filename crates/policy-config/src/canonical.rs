//! The canonical form of a pack: defaults explicit, order normalised.

use crate::schema::PolicyConfig;

pub fn canonical(config: &PolicyConfig) -> String {
    format!("{config:?}")
}
