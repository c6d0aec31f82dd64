// A group of ranks that carry out collective operations together, and the
// process-wide machinery they borrow.
//
//   auto context =
//   longhaul::Context::Create(*longhaul::Options::FromEnvironment()); auto
//   world = longhaul::Communicator::Create(**context); longhaul::Status s =
//       (*world)->AllReduce(gradients, gradients, count, DataType::kFloat32,
//                           ReduceOp::kAvg).Wait();
//
// Every rank of a communicator calls the same operations in the same order;
// ranks that disagree all get kInvalidArgument, naming the disagreement.
#pragma once

#include <longhaul/buffer.h>
#include <longhaul/counters.h>
#include <longhaul/options.h>
#include <longhaul/request.h>
#include <longhaul/status.h>
#include <longhaul/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace longhaul {

/// What one process has one of: the engine that moves bytes, its listening
/// port, connections to other processes, memory. Communicators borrow it.
///
/// Starts one thread; rank 0's context also serves the rendezvous on it. A
/// forked child must not touch it. Any thread.
class Context {
 public:
  /// kInvalidArgument or kUnreachable if the options do not fit this host, with
  /// what to change.
  static Result<std::unique_ptr<Context>> Create(Options options);
  /// Closes: what was sent is seen off and goodbye is said, in bounded time.
  /// Its communicators must be gone.
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const Options& options() const;

  class Impl;  ///< longhaul's own

 private:
  friend class Communicator;
  explicit Context(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// How one rank joins. Fields left empty come from the context's options.
struct CommunicatorConfig {
  /// Ranks that give the same name form one communicator; a second one of the
  /// same name may be made after the first on every rank.
  std::string name = "world";
  std::optional<Rank> rank;
  std::optional<Rank> size;
  std::string site;
  /// Overrides LONGHAUL_ALGO for this communicator.
  std::optional<Algorithm> algorithm;
  /// Overrides LONGHAUL_COMPRESS for this communicator.
  std::optional<CodecSpec> compress;
  /// Overrides LONGHAUL_ERROR_FEEDBACK for this communicator.
  std::optional<bool> error_feedback;
};

/// Of one all-reduce, what seldom matters.
struct AllReduceOptions {
  /// For error feedback: the tensor's name, any number but 0, the same from
  /// call to call. 0: it is told by its input's address and its length. Two
  /// operations in flight at a time should not name the same tensor.
  uint64_t tensor = 0;
};

/// A stretch of a vector that is spread over the ranks, in elements.
struct Window {
  size_t offset = 0;
  size_t count = 0;
};

/// One rank's handle. Thread-compatible: operations are issued by one thread
/// at a time; their requests may be waited for on any.
class Communicator {
 public:
  /// Meets the other ranks at the rendezvous, connects, and returns once all
  /// are there and the lines between sites are warmed up (some seconds at most,
  /// LONGHAUL_WARMUP). kTimedOut names the ranks that are missing;
  /// kInvalidArgument says what ranks disagree on.
  static Result<std::unique_ptr<Communicator>> Create(
      Context& context, const CommunicatorConfig& config = {});
  /// Operations not done by now end with kAborted.
  ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  Rank rank() const;
  Rank size() const;
  int site() const;  ///< of this rank, 0 .. site_count() - 1
  int site_count() const;
  int SiteOf(Rank rank) const;
  const std::string& SiteName(int site) const;

  /// output[i] = input[i] of rank 0 op ... op input[i] of the last rank, for
  /// `count` elements, with the same bits on every rank. `input` and `output`
  /// may be the same memory, but must not overlap otherwise; both are lent
  /// until the request is done. `count` may be 0. Several operations may be in
  /// flight; at most kMaxRequests requests exist at a time (kExhausted beyond).
  Request AllReduce(const void* input, void* output, size_t count,
                    DataType type, ReduceOp op);
  Request AllReduce(const void* input, void* output, size_t count,
                    DataType type, ReduceOp op,
                    const AllReduceOptions& options);
  /// The same, for memory of any kind: kUnsupported unless host memory.
  Request AllReduce(ConstBuffer input, Buffer output, DataType type,
                    ReduceOp op);

  /// Every rank gets the vector of size() * block elements in which rank r's
  /// input is elements r * block and on. `output` has the whole vector, `input`
  /// has `block` elements and may be its place in the output, output + rank() *
  /// block elements, but must not overlap it otherwise. Lent, in flight and
  /// counted as AllReduce's.
  Request AllGather(const void* input, void* output, size_t block,
                    DataType type);
  /// The same for a window of that vector: `output` has window.count elements,
  /// `input` those of this rank's block that are in the window, if any, and may
  /// be their place in the output. The window lies in the vector and is the
  /// same on every rank.
  Request AllGather(const void* input, void* output, size_t block,
                    Window window, DataType type);

  /// output[i] = input[rank() * block + i] of rank 0 op ... op that of the last
  /// rank, for `block` elements: this rank's block of the vector of size() *
  /// block elements that all ranks have put in, with the bits that AllReduce by
  /// the hierarchical algorithm gives. `output` may be its place in the input,
  /// input + rank() * block elements, but must not overlap it otherwise. Lent,
  /// in flight and counted as AllReduce's.
  Request ReduceScatter(const void* input, void* output, size_t block,
                        DataType type, ReduceOp op);
  /// The same for a window of that vector: `input` has window.count elements,
  /// `output` those of this rank's block that are in the window, if any, and
  /// may be their place in the input. The window lies in the vector and is the
  /// same on every rank.
  Request ReduceScatter(const void* input, void* output, size_t block,
                        Window window, DataType type, ReduceOp op);

  /// Done once every rank has called it.
  Request Barrier();

  static constexpr int kMaxRequests = 256;

  // Error feedback keeps, on every rank, what the codec left out of the tensors
  // that this rank encoded.

  /// Forgets it, of all tensors or of one: where gradients have nothing to do
  /// with the ones before. What operations in flight encode from then on is
  /// fed back again.
  void ResetFeedback();
  void ResetFeedback(uint64_t tensor);
  /// That of tensors with names, to go with this rank's checkpoint.
  std::vector<uint8_t> SaveFeedback() const;
  /// In place of what is kept; while no all-reduce is in flight. kCorrupt for
  /// bytes that SaveFeedback does not give, kExhausted if they are more than
  /// LONGHAUL_FEEDBACK_MEMORY; then nothing has changed.
  Status LoadFeedback(const std::vector<uint8_t>& saved);

  /// OK, or what has broken the communicator for good: the next operation
  /// would report it.
  Status status() const;
  /// Which algorithm an all-reduce of this length would use.
  Result<Algorithm> AlgorithmFor(size_t count, DataType type) const;
  std::vector<PeerCounters> Counters() const;
  /// With which codec a sum of this length would cross between sites.
  CodecSpec CodecFor(size_t count, DataType type) const;
  /// What this rank has done with each codec it may use.
  std::vector<CodecCounters> CodecUse() const;

 private:
  friend class CommunicatorMaker;
  class Impl;
  Status AgreeOnCodecs();
  explicit Communicator(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace longhaul
