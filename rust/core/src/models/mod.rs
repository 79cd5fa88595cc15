//! Models other than neighbours, a module for each.

pub mod adversarial_mf;
pub mod bpr_mf;
pub mod cdae;
pub mod ease;
pub mod graph_gan;
pub mod ials;
pub mod latent;
pub mod random;
pub mod random_walk;
pub mod slim_bpr;
pub mod slim_elastic_net;
