//! One gateway on one host, as a user meets it: the commands of the local loop with real programs, under load, killed,
//! spoiled, and as the guides tell it.

#![cfg(test)]

mod guides;
mod load;
mod seven;
mod spoiled;
mod steering;
