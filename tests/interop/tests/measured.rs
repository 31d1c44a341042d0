//! What measures still runs; what it measures is not looked at.

use std::process::Command;

#[test]
fn the_forwarders_are_measured_beside_each_other() {
    let output = Command::new(env!("CARGO_BIN_EXE_forwarding"))
        .args(["--rounds", "1", "--requests", "20", "--spans", "10,100"])
        .output()
        .expect("it can be started");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    for spans in [10, 100] {
        let heading = format!("2000 spans a round, in requests of {spans} ");
        assert!(stdout.contains(&heading), "{stdout}");
    }
    assert_eq!(stdout.matches("\nTowline : Rotel").count(), 2, "{stdout}");
}
