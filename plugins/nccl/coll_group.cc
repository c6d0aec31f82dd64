#include "coll_group.h"

#include <algorithm>
#include <utility>

#include "agreement.h"
#include "base/random.h"
#include "coll_meeting.h"
#include "collective/communicator_maker.h"
#include "log.h"

namespace longhaul::nccl {
namespace {

std::span<const uint8_t, abi::kHandleBytes> BytesOf(void* handle) {
  return std::span<const uint8_t, abi::kHandleBytes>(
      static_cast<const uint8_t*>(handle), abi::kHandleBytes);
}

// The first member's handle, when this one's own is among them.
Result<Handle> FirstOf(std::span<void* const> handles, int rank,
                       uint64_t own_cookie) {
  bool found = false;
  for (void* handle : handles) {
    const Result<Handle> member = DecodeHandle(BytesOf(handle));
    if (!member.ok()) return member.status();
    found |= member->cookie == own_cookie;
  }
  if (!found || rank < 0 || static_cast<size_t>(rank) >= handles.size()) {
    return Status(StatusCode::kInvalidArgument,
                  "this member's own handle is not among the group's");
  }
  return DecodeHandle(BytesOf(handles.front()));
}

Agreement AgreementOf(const Communicator& communicator) {
  Agreement agreement;
  agreement.members = communicator.size();
  agreement.sites = communicator.site_count();
  return agreement;
}

}  // namespace

Result<std::unique_ptr<CollListener>> CollListener::Make(Process& process) {
  Result<std::vector<Address>> addresses = process.context().OpenRendezvous();
  if (!addresses.ok()) return addresses.status();
  Handle handle = process.HandleFor(RandomU64());
  handle.addresses = std::move(addresses).value();
  return std::unique_ptr<CollListener>(new CollListener(std::move(handle)));
}

Result<bool> CollRequest::Test(size_t* bytes) {
  if (!request_.Done()) {
    process_->Assist();
    if (!request_.Done()) return false;
  }
  Status status = request_.status();
  if (!status.ok()) return status;
  *bytes = bytes_;
  request_ = Request();
  taken_ = false;
  return true;
}

Result<std::unique_ptr<CollGroup>> CollGroup::Join(
    Process& process, uint64_t comm_id, std::span<void* const> handles,
    int rank, const CollListener& listener) {
  Result<Handle> first = FirstOf(handles, rank, listener.handle().cookie);
  if (!first.ok()) return first.status();
  CollMeeting meeting(process, *first, rank, static_cast<int>(handles.size()));
  Result<CollMeeting::Members> members = meeting.Exchange();
  if (!members.ok()) return members.status();
  Result<std::unique_ptr<Communicator>> communicator = CommunicatorMaker::Make(
      process.context(),
      {rank, members->communicator, process.context().options().algo,
       process.context().options().compress,
       process.context().options().error_feedback, std::move(members->cards)});
  const Status committed =
      meeting.Commit(communicator.ok() ? Status() : communicator.status());
  if (!committed.ok()) return committed;
  std::unique_ptr<CollGroup> group(
      new CollGroup(process, comm_id, std::move(communicator).value()));
  const Agreement agreement = AgreementOf(*group->communicator_);
  Agreements::OfProcess().Publish(comm_id, agreement);
  group->published_ = true;
  Info("CollNet group of %d nodes in %d sites, rank %d", agreement.members,
       agreement.sites, rank);
  return group;
}

CollGroup::~CollGroup() {
  if (published_) Agreements::OfProcess().Withdraw(comm_id_);
}

CollRequest* CollGroup::Free() {
  CollRequest& request = requests_[next_ % requests_.size()];
  return request.taken_ ? nullptr : &request;
}

Result<CollRequest*> CollGroup::Follow(CollRequest* request, Request issued,
                                       size_t bytes) {
  if (issued.Done() && issued.status().code() == StatusCode::kExhausted) {
    return static_cast<CollRequest*>(nullptr);
  }
  request->process_ = &process_;
  request->request_ = std::move(issued);
  request->bytes_ = bytes;
  request->taken_ = true;
  ++next_;
  process_.Assist();
  return request;
}

Result<CollRequest*> CollGroup::AllReduce(const void* send, void* recv,
                                          size_t count, DataType type,
                                          ReduceOp op) {
  CollRequest* request = Free();
  if (request == nullptr) return request;
  return Follow(request, communicator_->AllReduce(send, recv, count, type, op),
                count * SizeOf(type));
}

Result<CollRequest*> CollGroup::AllGather(const void* send, void* recv,
                                          size_t block, Window window) {
  CollRequest* request = Free();
  if (request == nullptr) return request;
  return Follow(
      request,
      communicator_->AllGather(send, recv, block, window, DataType::kUint8),
      window.count);
}

Result<CollRequest*> CollGroup::ReduceScatter(const void* send, void* recv,
                                              size_t block, Window window,
                                              DataType type, ReduceOp op) {
  CollRequest* request = Free();
  if (request == nullptr) return request;
  const auto own = static_cast<size_t>(communicator_->rank()) * block;
  const size_t begin = std::max<size_t>(window.offset, own);
  const size_t end =
      std::min<size_t>(window.offset + window.count, own + block);
  return Follow(
      request,
      communicator_->ReduceScatter(send, recv, block, window, type, op),
      begin < end ? (end - begin) * SizeOf(type) : 0);
}

}  // namespace longhaul::nccl
