//! What goes on from one pack to the next.
