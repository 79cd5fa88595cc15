//! Models other than neighbours, a module for each.

pub mod ease;
pub mod ials;
pub mod random;
pub mod random_walk;
pub mod slim_bpr;
pub mod slim_elastic_net;
