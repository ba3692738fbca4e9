//! Real programs that die, stall and fail at the worst moments: nothing acknowledged is lost, no generation goes
//! back, nobody stays stuck.
#![cfg(test)]

mod crash_matrix;
mod kill_loops;
mod ledger_of_truth;
mod load;
mod moving;
mod replicas;
mod rig;
