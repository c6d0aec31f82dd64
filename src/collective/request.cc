#include <longhaul/request.h>

#include "base/text.h"
#include "collective/operation.h"

namespace longhaul {

Request& Request::operator=(Request&& other) noexcept {
  if (this != &other) {
    Release();
    operation_ = std::exchange(other.operation_, nullptr);
    fault_ = std::move(other.fault_);
  }
  return *this;
}

Request::~Request() { Release(); }

void Request::Release() {
  if (operation_ == nullptr) return;
  operation_->Wait(kNever);
  operation_->Release();
  operation_ = nullptr;
}

bool Request::Done() const noexcept {
  return operation_ == nullptr || operation_->Done();
}

Status Request::Wait() {
  if (operation_ != nullptr) operation_->Wait(kNever);
  return status();
}

Status Request::Wait(std::chrono::nanoseconds patience) {
  if (operation_ == nullptr || operation_->Wait(patience.count())) {
    return status();
  }
  return {StatusCode::kTimedOut,
          Text("not done after %.3f s",
               static_cast<double>(patience.count()) / kSecond)};
}

Status Request::status() const {
  if (operation_ == nullptr) return fault_;
  return operation_->Done() ? operation_->status() : Status();
}

}  // namespace longhaul
