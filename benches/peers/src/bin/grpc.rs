//! What a gRPC call takes through each layer, unary and streamed. See the read-me.

fn main() {
    towline_peers::report::run("grpc", towline_peers::path::GRPC_PATHS);
}
