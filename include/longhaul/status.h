// How faults are reported: Status (what went wrong, how much it broke, in
// words) and Result<T> (a T or a Status). Nothing here throws.
//
//   Status s = request.Wait();
//   if (!s.ok()) std::fprintf(stderr, "%s\n", s.ToString().c_str());
//
// "Not now" is not a fault and never a Status: calls that may be unable to
// proceed say so with false or nullptr.
//
// An OK status is one null pointer and costs nothing to pass. Thread-
// compatible: copies share immutable state.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace longhaul {

/// What went wrong. The values appear on the wire (docs/wire_format.md).
enum class StatusCode : uint8_t {
  kOk = 0,
  kInvalidArgument = 1,  ///< the caller, or the ranks' calls, do not fit
  kUnsupported = 2,      ///< understood, but not available here
  kExhausted = 3,        ///< a stated bound was reached
  kTimedOut = 4,         ///< a deadline passed
  kUnreachable = 5,      ///< a peer died, or no path to it is left
  kCorrupt = 6,          ///< bytes that break the protocol
  kAborted = 7,          ///< given up because the object was closed
  kInternal = 8,         ///< a defect of this library
};

/// The largest thing the fault has broken.
enum class FaultScope : uint8_t {
  kOperation = 0,
  kPath = 1,
  kConnection = 2,
  kCommunicator = 3,
};

/// "kUnreachable", ...
constexpr const char* NameOf(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return "kOk";
    case StatusCode::kInvalidArgument:
      return "kInvalidArgument";
    case StatusCode::kUnsupported:
      return "kUnsupported";
    case StatusCode::kExhausted:
      return "kExhausted";
    case StatusCode::kTimedOut:
      return "kTimedOut";
    case StatusCode::kUnreachable:
      return "kUnreachable";
    case StatusCode::kCorrupt:
      return "kCorrupt";
    case StatusCode::kAborted:
      return "kAborted";
    case StatusCode::kInternal:
      return "kInternal";
  }
  return "?";
}

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string text,
         FaultScope scope = FaultScope::kOperation)
      : state_(code == StatusCode::kOk ? nullptr
                                       : std::make_shared<const State>(State{
                                             code, scope, std::move(text)})) {}

  bool ok() const noexcept { return state_ == nullptr; }
  StatusCode code() const noexcept {
    return state_ ? state_->code : StatusCode::kOk;
  }
  FaultScope scope() const noexcept {
    return state_ ? state_->scope : FaultScope::kOperation;
  }
  /// What happened and to whom, for a person; empty if ok.
  const std::string& text() const noexcept {
    static const std::string kNone;
    return state_ ? state_->text : kNone;
  }
  /// "kUnreachable: rank 3 (site paris) closed the connection".
  std::string ToString() const {
    return ok() ? "kOk" : std::string(NameOf(code())) + ": " + text();
  }

 private:
  struct State {
    StatusCode code;
    FaultScope scope;
    std::string text;
  };
  std::shared_ptr<const State> state_;
};

/// A T, or why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): `return value;`
  Result(T value) : value_(std::move(value)) {}
  // NOLINTNEXTLINE(google-explicit-constructor): `return status;`
  Result(Status status) : status_(std::move(status)) {
    if (status_.ok()) Die("Result made from an OK status without a value");
  }

  bool ok() const noexcept { return value_.has_value(); }
  const Status& status() const noexcept { return status_; }

  /// The value. Ends the process with the fault's text if there is none:
  /// check ok() first wherever a fault can be handled.
  T& value() & {
    Require();
    return *value_;
  }
  const T& value() const& {
    Require();
    return *value_;
  }
  T value() && {
    Require();
    return *std::move(value_);
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  [[noreturn]] static void Die(const char* text) {
    std::fprintf(stderr, "longhaul: %s\n", text);
    std::abort();
  }
  void Require() const {
    if (!value_) Die(status_.ToString().c_str());
  }

  std::optional<T> value_;
  Status status_;
};

}  // namespace longhaul
