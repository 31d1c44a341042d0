//! Tells the program which compiler makes it: counts of instructions are the compiler's as much as the code's.

use std::env;
use std::process::Command;

fn main() {
    // Cargo runs this again when the compiler changes.
    println!("cargo::rerun-if-changed=build.rs");
    let version = env::var_os("RUSTC")
        .and_then(|rustc| Command::new(rustc).arg("--version").output().ok())
        .and_then(|output| String::from_utf8(output.stdout).ok());
    let version = version.as_deref().map_or("an unknown compiler", str::trim);
    let target = env::var("TARGET").unwrap_or_else(|_| "an unknown target".to_owned());
    // Cargo says no more than whether there is any.
    println!("cargo::rustc-check-cfg=cfg(towline_cost_debug_info)");
    if env::var("DEBUG").is_ok_and(|debug| debug == "true") {
        println!("cargo::rustc-cfg=towline_cost_debug_info");
    }
    println!("cargo::rustc-env=TOWLINE_COST_COMPILER={version}");
    println!("cargo::rustc-env=TOWLINE_COST_TARGET={target}");
}
