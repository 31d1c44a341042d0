//! What an HTTP request takes through each layer. See the read-me.

fn main() {
    towline_peers::report::run("http", towline_peers::path::PATHS);
}
