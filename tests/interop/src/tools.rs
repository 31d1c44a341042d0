//! Where `tests/interop/run` has put the peers.

use std::path::PathBuf;

/// A program of the Python environment.
#[must_use]
pub fn python(program: &str) -> PathBuf {
    find(&format!("python/bin/{program}"))
}

/// Where the Python environment has shared libraries.
#[must_use]
pub fn python_libraries() -> PathBuf {
    find("python/lib")
}

/// The Python of the client's environment.
#[must_use]
pub fn client_python() -> PathBuf {
    find("client-python/bin/python")
}

/// The client for Node, beside the packages that it needs.
#[must_use]
pub fn client_node() -> PathBuf {
    find("client-node/client.mjs")
}

/// A program that was built from `go`.
#[must_use]
pub fn go(program: &str) -> PathBuf {
    find(&format!("go/bin/{program}"))
}

fn find(path: &str) -> PathBuf {
    let tools = std::env::var_os("TOWLINE_INTEROP_TOOLS").expect(
        "TOWLINE_INTEROP_TOOLS is not set: use tests/interop/run, which installs the peers",
    );
    let found = PathBuf::from(tools).join(path);
    assert!(
        found.exists(),
        "{} is not there: use tests/interop/run, which installs it",
        found.display()
    );
    found
}
