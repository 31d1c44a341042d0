//! Longer texts: every setting, and how it compares.

/// Every setting: in a file, in the environment and in code.
pub mod configuration {
    #![doc = include_str!("../docs/configuration.md")]
}

/// Beside Teleport, Kubernetes, etcd and CRI-O: what is the same, and what is not.
pub mod teleport {
    #![doc = include_str!("../docs/teleport.md")]
}
