#include "plugin/driver/proxy.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace longhaul::nccl {
namespace {

using abi::ResultCode;

constexpr int kTag = 7;
constexpr std::byte kUsed{0xdb};

size_t LargestOf(const std::vector<size_t>& sizes) {
  return sizes.empty() ? 1
                       : std::max<size_t>(
                             1, *std::max_element(sizes.begin(), sizes.end()));
}

}  // namespace

SendProxy::SendProxy(NetTable* net, void* comm, std::vector<size_t> sizes,
                     SlotFn fill, Scribble scribble)
    : net_(net),
      comm_(comm),
      sizes_(std::move(sizes)),
      fill_(std::move(fill)),
      scribble_(scribble),
      slot_bytes_(LargestOf(sizes_)),
      memory_(slot_bytes_ * kSlots) {
  net_->RegMr(comm_, memory_.data(), memory_.size(), abi::kPtrHost, &mr_);
}

SendProxy::~SendProxy() { net_->DeregMr(comm_, mr_); }

std::span<std::byte> SendProxy::Slot(size_t index) {
  return {memory_.data() + index % kSlots * slot_bytes_, sizes_[index]};
}

ResultCode SendProxy::Step() {
  const ResultCode code = Post();
  return code == ResultCode::kSuccess ? TestOldest() : code;
}

ResultCode SendProxy::Post() {
  if (posted_ == sizes_.size() || posted_ == done_ + kSlots) {
    return ResultCode::kSuccess;
  }
  const std::span<std::byte> slot = Slot(posted_);
  if (filled_ == posted_) {
    fill_(posted_, slot);
    ++filled_;
  }
  void*& request = requests_[posted_ % kSlots];
  request = nullptr;
  const ResultCode code =
      net_->Isend(comm_, slot.data(), slot.size(), kTag, mr_, &request);
  if (code == ResultCode::kSuccess && request) ++posted_;
  return code;
}

ResultCode SendProxy::TestOldest() {
  if (done_ == posted_) return ResultCode::kSuccess;
  int done = 0;
  const ResultCode code = net_->Test(requests_[done_ % kSlots], &done, nullptr);
  if (code != ResultCode::kSuccess || done == 0) return code;
  const std::span<std::byte> slot = Slot(done_);
  if (scribble_ == Scribble::kAlways) {
    std::fill(slot.begin(), slot.end(), kUsed);
  }
  ++done_;
  return code;
}

RecvProxy::RecvProxy(NetTable* net, void* comm, std::vector<size_t> sizes,
                     size_t slot_bytes, SlotFn check, Scribble scribble)
    : net_(net),
      comm_(comm),
      sizes_(std::move(sizes)),
      check_(std::move(check)),
      scribble_(scribble),
      slot_bytes_(std::max(slot_bytes, LargestOf(sizes_))),
      memory_(slot_bytes_ * kSlots) {
  net_->RegMr(comm_, memory_.data(), memory_.size(), abi::kPtrHost, &mr_);
}

RecvProxy::~RecvProxy() { net_->DeregMr(comm_, mr_); }

std::byte* RecvProxy::Slot(size_t index) {
  return memory_.data() + index % kSlots * slot_bytes_;
}

ResultCode RecvProxy::Step() {
  const ResultCode code = Post();
  return code == ResultCode::kSuccess ? TestOldest() : code;
}

ResultCode RecvProxy::Post() {
  if (posted_ == sizes_.size() || posted_ == done_ + kSlots) {
    return ResultCode::kSuccess;
  }
  std::byte* const slot = Slot(posted_);
  if (scribble_ == Scribble::kAlways) {
    std::memset(slot, static_cast<int>(kUsed), slot_bytes_);
  }
  const bool hint = net_->version() >= 9 && posted_ % 2 == 1;
  void* const before =
      hint ? reinterpret_cast<void*>(abi::kOptionalRecvCompletion) : nullptr;
  void*& request = requests_[posted_ % kSlots];
  request = before;
  const ResultCode code =
      net_->Irecv(comm_, slot, slot_bytes_, kTag, mr_, &request);
  if (code != ResultCode::kSuccess) return code;
  if (hint && request == before) return ResultCode::kInternalError;
  if (request) ++posted_;
  return code;
}

ResultCode RecvProxy::TestOldest() {
  if (done_ == posted_) return ResultCode::kSuccess;
  int done = 0;
  int size = static_cast<int>(sizes_[done_]);
  const ResultCode code = net_->Test(requests_[done_ % kSlots], &done,
                                     done_ % 3 == 2 ? nullptr : &size);
  if (code != ResultCode::kSuccess || done == 0) return code;
  check_(done_, {Slot(done_), static_cast<size_t>(size)});
  ++done_;
  return code;
}

}  // namespace longhaul::nccl
