//! Wire → core and core → wire, for what is decided on.
