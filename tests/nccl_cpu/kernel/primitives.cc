#include "kernel/primitives.h"

#include "kernel/ll_primitives.h"
#include "kernel/simple_primitives.h"

namespace nccl_cpu {

using nccl_abi::ConnInfo;

Primitives::Primitives(Block& block, const PrimitivesConfig& config)
    : block_(block),
      config_(config),
      element_size_(static_cast<ssize_t>(TypeSize(config.reduction.type))) {
  auto link = [](ConnInfo& conn) {
    if (conn.net_device_handle.type != 0) {
      Unsupported("a network with device offload");
    }
    return Link{&conn, conn.step};
  };
  for (int peer : config.recv_peers) {
    recv_.push_back(link(block.channel->peers[peer]->recv[config.recv_conn]));
  }
  for (int peer : config.send_peers) {
    send_.push_back(link(block.channel->peers[peer]->send[config.send_conn]));
  }
  if (recv_.size() > kMaxLinks || send_.size() > kMaxLinks) {
    Unsupported("this many connections");
  }
}

Task Primitives::Send(ssize_t index, ssize_t count) {
  return Run({.send = true, .source = Local::kInput}, index, -1, count);
}
Task Primitives::CopySend(ssize_t source, ssize_t target, ssize_t count) {
  return Run({.send = true, .source = Local::kInput, .target = Local::kOutput},
             source, target, count);
}
Task Primitives::Recv(ssize_t index, ssize_t count, bool post_op) {
  return Run({.recv = true, .target = Local::kOutput, .post_op = post_op}, -1,
             index, count);
}
Task Primitives::RecvCopySend(ssize_t index, ssize_t count, bool post_op) {
  return Run({.recv = true,
              .send = true,
              .target = Local::kOutput,
              .post_op = post_op},
             -1, index, count);
}
Task Primitives::RecvReduceCopy(ssize_t source, ssize_t target, ssize_t count,
                                bool post_op) {
  return Run({.recv = true,
              .source = Local::kInput,
              .target = Local::kOutput,
              .post_op = post_op},
             source, target, count);
}
Task Primitives::RecvReduceSend(ssize_t index, ssize_t count) {
  return Run({.recv = true, .send = true, .source = Local::kInput}, index, -1,
             count);
}
Task Primitives::RecvReduceCopySend(ssize_t source, ssize_t target,
                                    ssize_t count, bool post_op) {
  return Run({.recv = true,
              .send = true,
              .source = Local::kInput,
              .target = Local::kOutput,
              .post_op = post_op},
             source, target, count);
}

bool Primitives::HasRoom(uint64_t steps) const {
  for (const Link& link : send_) {
    // On shared buffers the head starts at -kSteps: the sum may wrap.
    const uint64_t limit = LoadCounter(link.conn->head) + nccl_abi::kSteps;
    if (limit < link.step + steps) return false;
  }
  return true;
}

void Primitives::SaveSteps() {
  for (const Link& link : recv_) link.conn->step = link.step;
  for (const Link& link : send_) link.conn->step = link.step;
}

std::unique_ptr<Primitives> MakePrimitives(Block& block,
                                           const PrimitivesConfig& config,
                                           int proto) {
  if (proto == nccl_abi::kProtoLl) {
    return std::make_unique<LlPrimitives>(block, config);
  }
  return std::make_unique<SimplePrimitives>(block, config);
}

}  // namespace nccl_cpu
