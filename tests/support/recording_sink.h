// A sink that remembers what its endpoint told it, and checks on the way that
// the endpoint keeps its promises: calls pair up, and none follows the end.
//
// Thread-compatible.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "transport/endpoint.h"

namespace longhaul {

class RecordingSink final : public ChunkSink {
 public:
  struct Frame {
    ChunkHeader header;
    std::vector<uint8_t> bytes;
    bool discarded = false;  // it had no place
  };

  // What the test adds to the recording; called after it.
  std::function<void(const ChunkHeader&)> on_place;
  std::function<void(const ChunkHeader&)> on_arrived;
  std::function<void(void*)> on_sent;
  std::function<void()> on_writable;
  /// Should the frame be thrown away?
  std::function<bool(const ChunkHeader&)> discard;

  Buffer Place(Endpoint& from, const ChunkHeader& header,
               TimePoint /*now*/) override {
    Called("Place");
    EXPECT_GT(header.size, 0u);
    EXPECT_NE(header.kind, FrameKind::kPadding);
    ++placed;
    place.assign(header.size, 0);
    receiving = header;
    const bool unwanted = discard && discard(header);
    Buffer buffer;
    if (!unwanted) buffer = {place.data(), place.size()};
    placed_buffer_ = buffer;
    if (on_place) on_place(header);
    (void)from;
    return buffer;
  }

  void Arrived(Endpoint& from, const ChunkHeader& header, Buffer payload,
               TimePoint /*now*/) override {
    Called("Arrived");
    (void)from;
    Frame frame;
    frame.header = header;
    if (header.size > 0 && header.kind != FrameKind::kPadding) {
      EXPECT_TRUE(receiving.has_value()) << "Arrived without Place";
      EXPECT_EQ(payload.data, placed_buffer_.data);
      frame.discarded = payload.data == nullptr;
      if (!frame.discarded) frame.bytes = place;
    } else {
      EXPECT_EQ(payload.data, nullptr);
    }
    receiving.reset();
    frames.push_back(std::move(frame));
    if (on_arrived) on_arrived(header);
  }

  void Sent(Endpoint& /*from*/, void* cookie) override {
    Called("Sent");
    sent.push_back(cookie);
    if (on_sent) on_sent(cookie);
  }

  void Writable(Endpoint& /*from*/) override {
    Called("Writable");
    ++writable;
    if (on_writable) on_writable();
  }

  void Failed(Endpoint& /*from*/, const Status& why) override {
    Called("Failed");
    EXPECT_FALSE(why.ok());
    EXPECT_FALSE(why.text().empty());
    failed = why;
    over = true;
  }

  bool Dead() const { return failed.has_value(); }
  StatusCode FailedWith() const {
    return failed ? failed->code() : StatusCode::kOk;
  }

  std::vector<Frame> frames;  // arrived
  std::vector<void*> sent;    // cookies
  int placed = 0;
  int writable = 0;
  int calls = 0;
  std::optional<Status> failed;
  bool over = false;  // set it after Close: no call may follow
  // The frame being received, if one is.
  std::optional<ChunkHeader> receiving;
  std::vector<uint8_t> place;

 private:
  void Called(const char* what) {
    ++calls;
    EXPECT_FALSE(over) << what << " called after the end";
  }
  Buffer placed_buffer_;
};

}  // namespace longhaul
