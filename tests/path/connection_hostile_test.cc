// A peer that frames well and means ill: it is found out or ignored, and costs
// no more than was granted to it.
#include <random>

#include "path/path_world.h"

namespace longhaul {
namespace {

// Hears everything, keeps nothing.
class DeafSink final : public ChunkSink {
 public:
  size_t frames = 0;
  Buffer Place(Endpoint&, const ChunkHeader&, TimePoint) override { return {}; }
  void Arrived(Endpoint&, const ChunkHeader&, Buffer, TimePoint) override {
    ++frames;
  }
  void Sent(Endpoint&, void*) override {}
  void Writable(Endpoint&) override {}
  void Failed(Endpoint&, const Status&) override {}
};

// A connection at one end of a flow, and whatever we like at the other.
class Hostile : public testing::Test {
 protected:
  explicit Hostile(const PathConfig& config = {})
      : config_(config), world_(config.seed, 1) {
    victim_ =
        std::make_unique<Side>(world_, 0, 1, config.For("them"), config.pool);
    AddFlow();
  }
  ~Hostile() override {
    victim_.reset();  // before its ops
    peers_.clear();
  }

  void AddFlow() {
    auto [at_victim, at_peer] = world_.network().Connect(kLink, kLink);
    at_victim->SetSink(*victim_->connection);
    at_peer->SetSink(sink_);
    (*victim_)->AddFlow(std::move(at_victim), world_.now());
    peers_.push_back(std::move(at_peer));
  }

  static ChunkHeader Chunk(uint64_t sequence, uint64_t total, uint64_t offset,
                           uint32_t size) {
    ChunkHeader header;
    header.id = {kCommunicator, 0, sequence, 0, 1, 0};
    header.total = total;
    header.offset = offset;
    header.size = size;
    return header;
  }
  ChunkHeader Charged(uint64_t sequence, uint64_t total, uint64_t offset,
                      uint32_t size) {
    ChunkHeader header = Chunk(sequence, total, offset, size);
    header.flags = ChunkHeader::kChargedShared;
    header.charged_at = charged_;
    charged_ += ChargeFor(size);
    return header;
  }
  static ChunkHeader Control(FrameKind kind, size_t size) {
    ChunkHeader header;
    header.kind = kind;
    header.size = static_cast<uint32_t>(size);
    return header;
  }

  void SendData(const ChunkHeader& header, size_t flow = 0) {
    peers_[flow]->TrySend(header, {junk_.data(), header.size}, nullptr);
  }
  void SendControl(FrameKind kind, const std::vector<uint8_t>& payload) {
    peers_[0]->TrySendControl(Control(kind, payload.size()), payload);
  }
  void SendNotice(uint64_t number, const std::vector<uint8_t>& payload) {
    ChunkHeader header;
    header.flags = ChunkHeader::kNotice;
    header.id = {kCommunicator, 0, 0, ~0u, ~0u, number};
    header.size = static_cast<uint32_t>(payload.size());
    header.total = payload.size();
    std::copy(payload.begin(), payload.end(), junk_.begin());
    SendData(header);
    world_.RunFor(kMillisecond);
  }
  template <typename Entry>
  static std::vector<uint8_t> Encoded(const Entry& entry, size_t size) {
    std::vector<uint8_t> bytes(size);
    Encode(entry, bytes.data());
    return bytes;
  }
  TestRecv& Post(uint64_t sequence, size_t size) {
    recvs_.push_back(std::make_unique<TestRecv>());
    TestRecv& recv = *recvs_.back();
    recv.id = {kCommunicator, 0, sequence, 0, 1, 0};
    recv.target.assign(size, 0);
    recv.data = recv.target.data();
    recv.size = size;
    recv.listener = &victim_->recorder;
    (*victim_)->Recv(recv);
    return recv;
  }
  TestSend& Give(uint64_t sequence, size_t size) {
    sends_.push_back(std::make_unique<TestSend>());
    TestSend& send = *sends_.back();
    send.id = {kCommunicator, 0, sequence, 1, 0, 0};
    send.source.assign(size, 1);
    send.data = send.source.data();
    send.size = size;
    send.listener = &victim_->recorder;
    (*victim_)->Send(send);
    return send;
  }

  const Status& Outcome() {
    world_.RunFor(100 * kMillisecond);
    return (*victim_)->status();
  }
  void ExpectFound(const char* what) {
    const Status outcome = Outcome();
    EXPECT_EQ(outcome.code(), StatusCode::kCorrupt) << what;
    EXPECT_EQ(outcome.scope(), FaultScope::kConnection) << what;
    EXPECT_EQ(victim_->recorder.faults.size(), 1u) << what;
  }
  void ExpectFine(const char* what) {
    EXPECT_TRUE(Outcome().ok()) << what << ": " << Outcome().ToString();
  }

  static constexpr SimLink kLink{.rate = 1e9,
                                 .delay = kMillisecond,
                                 .queue = 1 << 20,
                                 .control_queue = 1 << 20};
  PathConfig config_;
  std::vector<uint8_t> junk_ = std::vector<uint8_t>(kMaxPayload, 0x5a);
  std::vector<std::unique_ptr<TestRecv>> recvs_;
  std::vector<std::unique_ptr<TestSend>> sends_;
  DeafSink sink_;
  SimWorld world_;
  std::vector<std::unique_ptr<SimEndpoint>> peers_;
  std::unique_ptr<Side> victim_;
  uint64_t charged_ = 0;
};

// --- Data

TEST_F(Hostile, AChunkWithoutCredit) {
  ChunkHeader header = Charged(1, 100, 0, 100);
  header.charged_at = config_.shared_credit;
  SendData(header);
  ExpectFound("beyond the limit");
}

TEST_F(Hostile, AChunkThatIsNeitherChargedNorGranted) {
  SendData(Chunk(1, 100, 0, 100));
  ExpectFound("no grant");
}

TEST_F(Hostile, AnEmptyMessageThatIsNeitherChargedNorGranted) {
  SendData(Chunk(1, 0, 0, 0));
  ExpectFound("no grant");
}

TEST_F(Hostile, AChunkChargedToTwoAccounts) {
  ChunkHeader header = Charged(1, 100, 0, 100);
  header.flags |= ChunkHeader::kChargedReserve;
  SendData(header);
  ExpectFound("two accounts");
}

TEST_F(Hostile, TheSameCreditForTwoMessages) {
  ChunkHeader header = Charged(1, 100, 0, 100);
  SendData(header);
  header.id.sequence = 2;
  SendData(header);
  ExpectFound("used twice");
}

TEST_F(Hostile, ChargesThatOverlap) {
  SendData(Charged(1, 100, 0, 100));
  charged_ -= 10;
  SendData(Charged(2, 100, 0, 100));
  ExpectFound("overlap");
}

TEST_F(Hostile, TwinsOfWhatIsOverEarnNoCredit) {
  const ChunkHeader header = Charged(1, 60'000, 0, 60'000);
  victim_->recorder.states[1] = OperationState::kAborted;
  for (int i = 0; i < 100; ++i) SendData(header);
  ExpectFine("twins");
  charged_ = config_.shared_credit + ChargeFor(60'000);
  SendData(Charged(2, 100, 0, 100));
  ExpectFound("the limit has risen more than once");
}

TEST_F(Hostile, MoreThanTheCreditNeverTakesMemory) {
  for (uint64_t i = 0; i < 200; ++i) SendData(Charged(i, 60'000, 0, 60'000));
  size_t most = 0;
  world_.RunUntil(
      [&] {
        most = std::max(most, victim_->pool.bytes_in_use());
        return false;
      },
      world_.now() + kSecond);
  EXPECT_LE(most, config_.shared_credit);
  ExpectFound("too much");
}

TEST_F(Hostile, AMessageThatChangesItsLength) {
  SendData(Charged(1, 100, 0, 50));
  SendData(Charged(1, 101, 50, 50));
  ExpectFound("length");
}

TEST_F(Hostile, AMessageThatChangesItsOperation) {
  SendData(Charged(1, 100, 0, 50));
  ChunkHeader header = Charged(1, 100, 50, 50);
  header.fingerprint.root = 9;
  SendData(header);
  ExpectFound("fingerprint");
}

TEST_F(Hostile, ChunksThatOverlapNeverWriteADoneReceive) {
  AddFlow();
  AddFlow();
  TestRecv& recv = Post(1, 300);
  // Two halves arriving slowly, in between what overlaps both.
  world_.network().Change(*peers_[0], {.rate = 1e4, .delay = kMillisecond});
  world_.network().Change(*peers_[1], {.rate = 1e4, .delay = kMillisecond});
  SendData(Chunk(1, 300, 0, 150), 0);
  SendData(Chunk(1, 300, 150, 150), 1);
  world_.RunFor(10 * kMillisecond);
  SendData(Chunk(1, 300, 100, 100), 2);
  SendData(Chunk(1, 300, 0, 100), 2);
  SendData(Chunk(1, 300, 200, 100), 2);
  world_.RunFor(5 * kMillisecond);
  EXPECT_EQ(recv.back, 1);
  ExpectFine("overlap");
  EXPECT_TRUE(recv.Unharmed());
}

TEST_F(Hostile, AMessageOfAnotherLengthThanPostedTouchesNothing) {
  TestRecv& recv = Post(1, 100);
  SendData(Chunk(1, uint64_t{1} << 60, (uint64_t{1} << 60) - 50, 50));
  ExpectFine("too long");
  EXPECT_EQ(victim_->recorder.disagreements.size(), 1u);
  EXPECT_EQ(recv.back, 0);
  EXPECT_EQ(recv.target, std::vector<uint8_t>(100, 0));
}

TEST_F(Hostile, TooManyStreams) {
  for (uint32_t i = 0; i < 70'000; ++i) {
    ChunkHeader header = Chunk(1, 0, 0, 0);
    header.id.source = i;
    header.flags = ChunkHeader::kChargedReserve;
    SendData(header);
  }
  ExpectFound("streams");
}

// Twins are acknowledged, and cost nothing; a peer that does not read what it
// is told is dropped before it costs too much.
TEST_F(Hostile, AcknowledgementsThatAreNeverReadAreBounded) {
  TestRecv& recv = Post(1, 1);
  SendData(Chunk(1, 1, 0, 1));
  ExpectFine("first");
  EXPECT_EQ(recv.back, 1);
  victim_->recorder.states[1] = OperationState::kDone;
  (*victim_)->Forget(victim_->Operation(1));
  world_.network().Blackhole(*peers_[0]);  // nothing leaves the victim
  world_.network().Change(*peers_[0], kLink);
  // Straight into the connection, as an endpoint would.
  auto [at_victim, at_peer] = world_.network().Connect(kLink, {.rate = 1});
  SimEndpoint& endpoint = *at_victim;
  at_victim->SetSink(*victim_->connection);
  at_peer->SetSink(sink_);
  (*victim_)->AddFlow(std::move(at_victim), world_.now());
  int sent = 0;
  for (; sent < 3'000'000 && (*victim_)->status().ok(); ++sent) {
    ChunkHeader twin = Chunk(1, 1, 0, 1);
    const Buffer place =
        victim_->connection->Place(endpoint, twin, world_.now());
    EXPECT_EQ(place.data, nullptr);
    victim_->connection->Arrived(endpoint, twin, place, world_.now());
  }
  EXPECT_EQ((*victim_)->status().code(), StatusCode::kExhausted);
  at_peer.reset();
}

// --- Control

TEST_F(Hostile, ControlFramesOfOddLength) {
  for (const FrameKind kind :
       {FrameKind::kAck, FrameKind::kCredit, FrameKind::kGrant,
        FrameKind::kPace, FrameKind::kWant}) {
    for (const size_t size : {1u, 23u, 31u, 47u, 16383u}) {
      victim_ = std::make_unique<Side>(world_, 0, 1, config_.For("them"),
                                       config_.pool);
      peers_.clear();
      AddFlow();
      SendControl(kind, std::vector<uint8_t>(size, 7));
      ExpectFound("odd length");
    }
  }
}

TEST_F(Hostile, EmptyControlFramesSayNothing) {
  for (int kind = 1; kind < kFrameKindCount; ++kind) {
    SendControl(static_cast<FrameKind>(kind), {});
  }
  ExpectFine("empty");
}

TEST_F(Hostile, AcknowledgementsOfWhatWasNeverSent) {
  SendControl(
      FrameKind::kAck,
      Encoded(AckEntry{{kCommunicator, 0, 5, 1, 0, 0}, 0, 10}, kAckEntrySize));
  ExpectFine("nothing of it is known");
  TestSend& send = Give(5, 1000);
  world_.RunFor(20 * kMillisecond);
  EXPECT_EQ(send.back, 1);
  SendControl(
      FrameKind::kAck,
      Encoded(AckEntry{{kCommunicator, 0, 5, 1, 0, 0}, 0, 10}, kAckEntrySize));
  ExpectFound("another size");
}

TEST_F(Hostile, AGoodAcknowledgementTwice) {
  Give(5, 1000);
  world_.RunFor(20 * kMillisecond);
  for (int i = 0; i < 2; ++i) {
    SendControl(FrameKind::kAck,
                Encoded(AckEntry{{kCommunicator, 0, 5, 1, 0, 0}, 0, 1000},
                        kAckEntrySize));
  }
  ExpectFine("twice");
  EXPECT_EQ(victim_->pool.bytes_in_use(), 0u);
}

TEST_F(Hostile, CreditThatFallsOrIsHuge) {
  SendControl(FrameKind::kCredit,
              Encoded(CreditEntry{kSharedAccount, 0, 0, 0}, kCreditEntrySize));
  SendControl(FrameKind::kCredit,
              Encoded(CreditEntry{kSharedAccount, 0, 0, ~uint64_t{0}},
                      kCreditEntrySize));
  SendControl(FrameKind::kCredit,
              Encoded(CreditEntry{kCommunicator, 1, 0, ~uint64_t{0}},
                      kCreditEntrySize));
  ExpectFine("credit");
  // Retention bounds us all the same.
  for (uint64_t i = 0; i < 30; ++i) Give(i, 1 << 20);
  world_.RunFor(kSecond);
  EXPECT_LE(victim_->pool.bytes_in_use(), config_.retention);
}

TEST_F(Hostile, CreditForTooManyStreams) {
  std::vector<uint8_t> payload(kMaxControlPayload / kCreditEntrySize *
                               kCreditEntrySize);
  uint32_t source = 0;
  for (int frame = 0; frame < 120; ++frame) {
    for (size_t at = 0; at < payload.size(); at += kCreditEntrySize) {
      Encode(CreditEntry{kCommunicator, source++, 0, 1}, &payload[at]);
    }
    SendControl(FrameKind::kCredit, payload);
  }
  ExpectFound("streams");
}

TEST_F(Hostile, GrantsForTooManyMessages) {
  std::vector<uint8_t> payload(kMaxControlPayload);
  uint64_t sequence = 0;
  for (int frame = 0; frame < 140; ++frame) {
    for (size_t at = 0; at < payload.size(); at += kGrantEntrySize) {
      Encode(GrantEntry{{kCommunicator, 0, sequence++, 1, 0, 0}}, &payload[at]);
    }
    SendControl(FrameKind::kGrant, payload);
  }
  ExpectFound("grants");
}

TEST_F(Hostile, GrantsForWhatIsOverAreNotKept) {
  std::vector<uint8_t> payload(kMaxControlPayload);
  for (uint64_t sequence = 0; sequence < 70'000;) {
    for (size_t at = 0; at < payload.size(); at += kGrantEntrySize) {
      victim_->recorder.states[sequence] = OperationState::kDone;
      Encode(GrantEntry{{kCommunicator, 0, sequence++, 1, 0, 0}}, &payload[at]);
    }
    SendControl(FrameKind::kGrant, payload);
  }
  ExpectFine("grants");
}

TEST_F(Hostile, PongsNobodyAskedFor) {
  for (const uint64_t value :
       {uint64_t{0}, uint64_t{1}, ~uint64_t{0}, uint64_t{1} << 63}) {
    ChunkHeader pong = Control(FrameKind::kPong, 0);
    pong.offset = value;
    peers_[0]->TrySendControl(pong, {});
  }
  ExpectFine("pong");
  Post(1, 10);
  world_.RunFor(kSecond);
  ExpectFine("pong");
}

TEST_F(Hostile, AFloodOfPingsIsAnsweredWithModeration) {
  for (int i = 0; i < 100'000; ++i) SendControl(FrameKind::kPing, {});
  ExpectFine("pings");
  EXPECT_LE(sink_.frames, 100'000u);
}

// --- Notices

TEST_F(Hostile, NoticesThatCannotBe) {
  const std::vector<std::vector<uint8_t>> wrong = {
      {0},
      {0, 0, 7},
      {0, 9, 1, 0},
      {0, 0, 0, 0},
      {0, 0, 99, 0},
      {2, 0, 1, 0},
      {1, 0, 0, 0, 0},
      std::vector<uint8_t>(20'000, 0)};
  for (const auto& payload : wrong) {
    victim_ =
        std::make_unique<Side>(world_, 0, 1, config_.For("them"), config_.pool);
    peers_.clear();
    AddFlow();
    SendNotice(0, payload);
    ExpectFound("notice");
  }
}

TEST_F(Hostile, AnEmptyNotice) {
  SendNotice(0, {});
  ExpectFound("empty");
}

TEST_F(Hostile, ANoticeInParts) {
  ChunkHeader header;
  header.flags = ChunkHeader::kNotice;
  header.size = 4;
  header.total = 8;
  SendData(header);
  ExpectFound("parts");
}

TEST_F(Hostile, ANoticeTwiceIsHeardOnce) {
  SendNotice(3, {0, 0, 1, 0, 'h', 'i'});
  SendNotice(3, {0, 0, 1, 0, 'h', 'i'});
  ExpectFine("twice");
  EXPECT_EQ(victim_->recorder.notices.size(), 1u);
}

TEST_F(Hostile, NoticesWithGapsAreBounded) {
  for (uint64_t i = 0; i < 10'000; ++i) {
    SendNotice(2 * i, {0, 0, 1, 0});
    if (!(*victim_)->status().ok()) break;
  }
  ExpectFound("gaps");
}

TEST_F(Hostile, AGoodbyeThatIsNotMeant) {
  TestRecv& recv = Post(1, 10);
  SendNotice(0, {1, 0, 0, 0});
  SendData(Chunk(1, 10, 0, 10));
  ExpectFine("still talking");
  EXPECT_TRUE(recv.Ok());
}

// --- Anything

TEST_F(Hostile, AnythingWellFramedIsFoundOutOrIgnored) {
  for (unsigned seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    config_.pool = 16 << 20;
    victim_ =
        std::make_unique<Side>(world_, 0, 1, config_.For("them"), config_.pool);
    recvs_.clear();
    sends_.clear();
    peers_.clear();
    charged_ = 0;
    AddFlow();
    AddFlow();
    for (uint64_t i = 0; i < 6; ++i) Post(i, random() % 3000);
    for (uint64_t i = 0; i < 6; ++i) Give(i, random() % 3000);
    for (int i = 0; i < 60 && (*victim_)->status().ok(); ++i) {
      const size_t flow = random() % 2;
      const uint64_t total = random() % 2 == 0 ? random() % 3000 : random();
      const uint64_t offset = total == 0 ? 0 : random() % total;
      const auto size = static_cast<uint32_t>(
          std::min<uint64_t>(total - offset, random() % 2000));
      ChunkHeader header = random() % 3 == 0
                               ? Chunk(random() % 9, total, offset, size)
                               : Charged(random() % 9, total, offset, size);
      if (random() % 4 == 0 && !recvs_.empty()) {
        header.total = recvs_[header.id.sequence % 6]->size;
        header.offset = 0;
        header.size = static_cast<uint32_t>(header.total);
      }
      if (random() % 8 == 0) header.id.message = random();
      if (random() % 8 == 0) header.flags = random() % 8;
      if (random() % 8 == 0) header.charged_at = random() % 5000;
      if (header.size == 0) header.total = header.offset = 0;
      if (random() % 4 == 0) {
        header.kind = static_cast<FrameKind>(1 + random() % 5);
        static constexpr std::array<uint32_t, 6> kSizes = {0,  24, 32,
                                                           48, 96, 77};
        header.size = kSizes[random() % 6];
        std::vector<uint8_t> payload(header.size);
        if (header.size % kMessageIdSize == 0 && header.size > 0) {
          const GrantEntry grant{{kCommunicator, 0, random() % 9, 1, 0, 0}};
          Encode(grant, payload.data());
        } else if (header.size % kAckEntrySize == 0 && header.size > 0) {
          const AckEntry ack{
              {kCommunicator, 0, random() % 9, 1, 0, 0}, 0, random() % 3000};
          Encode(ack, payload.data());
        } else {
          for (uint8_t& byte : payload) byte = static_cast<uint8_t>(random());
        }
        peers_[flow]->TrySendControl(header, payload);
      } else {
        SendData(header, flow);
      }
      if (random() % 3 == 0) world_.RunFor(100 * kMicrosecond);
      if (random() % 16 == 0) {
        const uint64_t sequence = random() % 6;
        victim_->recorder.states[sequence] = OperationState::kAborted;
        const Status why(StatusCode::kAborted, "enough");
        (*victim_)->Cancel(*recvs_[sequence], why);
        (*victim_)->Cancel(*sends_[sequence], why);
        (*victim_)->Forget(victim_->Operation(sequence));
      }
      ASSERT_LE(victim_->pool.bytes_in_use(), config_.shared_credit +
                                                  9 * config_.stream_reserve +
                                                  config_.retention);
    }
    world_.RunFor(10 * kMillisecond);
    const Status& status = (*victim_)->status();
    EXPECT_TRUE(status.ok() || status.code() == StatusCode::kCorrupt)
        << status.ToString();
    victim_->connection.reset();
    for (const auto& recv : recvs_) {
      EXPECT_EQ(recv->back, 1);
      EXPECT_TRUE(recv->Unharmed());
    }
    for (const auto& send : sends_) EXPECT_EQ(send->back, 1);
  }
}

}  // namespace
}  // namespace longhaul
