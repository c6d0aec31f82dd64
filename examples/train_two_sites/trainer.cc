#include "trainer.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <string>

namespace train {
namespace {

using longhaul::DataType;
using longhaul::ReduceOp;
using longhaul::Request;
using longhaul::Status;
using longhaul::StatusCode;

constexpr uint64_t kRising = 20;    // steps until the highest learning rate
constexpr double kLastRate = 0.02;  // of the highest, at the end
constexpr uint64_t kValidation = ~uint64_t{0} / 2;  // a draw no step has

// FNV-1a, by bytes.
uint64_t Hash(const void* data, size_t size,
              uint64_t hash = 0xcbf29ce484222325) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  for (size_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3;
  return hash;
}

// Of all that must be the same on every rank.
uint64_t HashOfTask(const Settings& settings, const Text& text) {
  std::string numbers;
  for (const uint64_t number :
       {settings.seed, settings.steps, settings.batch, settings.hidden,
        settings.every, settings.validation, uint64_t{text.vocabulary},
        uint64_t{text.training.size()},
        std::bit_cast<uint64_t>(settings.rate)}) {
    numbers += std::to_string(number) + ' ';
  }
  uint64_t hash = Hash(numbers.data(), numbers.size());
  hash = Hash(text.training.data(), text.training.size(), hash);
  return Hash(text.held_out.data(), text.held_out.size(), hash);
}

Shape ShapeOf(const Settings& settings, const Text& text) {
  Shape shape;
  shape.vocabulary = text.vocabulary;
  shape.hidden = settings.hidden;
  return shape;
}

}  // namespace

Trainer::Trainer(longhaul::Communicator& world, const Settings& settings,
                 const Text& text, const volatile std::sig_atomic_t& stop)
    : world_(world),
      settings_(settings),
      text_(text),
      stop_(stop),
      model_(ShapeOf(settings, text)),
      parameters_(model_.Initial(settings.seed)),
      gradient_(model_.parameter_count()),
      adam_(model_.parameter_count()) {}

Status Trainer::CheckFits() const {
  const auto ranks = static_cast<uint64_t>(world_.size());
  if (settings_.batch % ranks == 0 && settings_.validation % ranks == 0) {
    return {};
  }
  return {
      StatusCode::kInvalidArgument,
      "--batch and --validation must be multiples of the number of ranks, " +
          std::to_string(ranks)};
}

Status Trainer::Agree(uint64_t number, const char* what) {
  uint64_t lowest = 0;
  uint64_t highest = 0;
  const auto reduce = [&](uint64_t& into, ReduceOp op) {
    return world_.AllReduce(&number, &into, 1, DataType::kUint64, op).Wait();
  };
  if (Status status = reduce(lowest, ReduceOp::kMin); !status.ok()) {
    return status;
  }
  if (Status status = reduce(highest, ReduceOp::kMax); !status.ok()) {
    return status;
  }
  if (lowest == highest) return {};
  return {StatusCode::kInvalidArgument, what};
}

Status Trainer::Run(Curve* curve) {
  if (Status status = CheckFits(); !status.ok()) return status;
  Status status = Agree(HashOfTask(settings_, text_),
                        "the ranks have different text, or different options");
  wan_bytes_before_ = WanBytes();
  for (uint64_t step = 1; status.ok() && step <= settings_.steps; ++step) {
    const auto begin = std::chrono::steady_clock::now();
    status = Step(step);
    trained_ += std::chrono::steady_clock::now() - begin;
    const bool last = tally_.stop > 0 || step == settings_.steps;
    if (status.ok() && (last || step % settings_.every == 0)) {
      status = Validate(step, curve);
    }
    if (last) break;
  }
  if (!status.ok()) return status;
  return Agree(Hash(parameters_.data(), parameters_.size() * sizeof(float)),
               "the ranks' weights are not the same at the end");
}

Status Trainer::Step(uint64_t step) {
  const uint64_t share = settings_.batch / static_cast<uint64_t>(world_.size());
  const Batch batch =
      Draw(text_.training, model_.shape().context, settings_.seed, step,
           share * static_cast<uint64_t>(world_.rank()), share);
  tally_.loss = model_.LossAndGradient(parameters_, batch, gradient_);
  tally_.stop = stop_;
  if (Status status = Dump(step); !status.ok()) return status;
  Request tally =
      world_.AllReduce(&tally_, &tally_, 2, DataType::kFloat64, ReduceOp::kSum);
  Request average =
      world_.AllReduce(gradient_.data(), gradient_.data(), gradient_.size(),
                       DataType::kFloat32, ReduceOp::kAvg);
  if (Status status = tally.Wait(); !status.ok()) return status;
  if (Status status = average.Wait(); !status.ok()) return status;
  loss_sum_ += tally_.loss / world_.size();
  ++loss_steps_;
  adam_.Step(gradient_, static_cast<float>(Rate(step)), parameters_);
  return {};
}

// Rises in a line, falls along half a cosine.
double Trainer::Rate(uint64_t step) const {
  const double rising =
      static_cast<double>(step) / static_cast<double>(kRising);
  const double done =
      static_cast<double>(step) / static_cast<double>(settings_.steps);
  const double falling = (1 + std::cos(std::numbers::pi * done)) / 2;
  return settings_.rate *
         std::min(rising, kLastRate + (1 - kLastRate) * falling);
}

Status Trainer::Dump(uint64_t step) const {
  const auto& steps = settings_.dump_at;
  if (std::find(steps.begin(), steps.end(), step) == steps.end()) return {};
  return WriteVector(settings_.dump + "/grad_rank" +
                         std::to_string(world_.rank()) + "_step" +
                         std::to_string(step) + ".f32",
                     gradient_);
}

Status Trainer::Validate(uint64_t step, Curve* curve) {
  const uint64_t share =
      settings_.validation / static_cast<uint64_t>(world_.size());
  // The same places every time and for every seed: losses can be compared.
  const Batch batch =
      Draw(text_.held_out, model_.shape().context, 0, kValidation,
           share * static_cast<uint64_t>(world_.rank()), share);
  double sums[] = {model_.Loss(parameters_, batch),
                   static_cast<double>(WanBytes() - wan_bytes_before_)};
  Status status =
      world_.AllReduce(sums, sums, 2, DataType::kFloat64, ReduceOp::kSum)
          .Wait();
  if (!status.ok()) return status;
  Point point;
  point.step = step;
  point.seconds = trained_.count();
  point.training_loss = loss_sum_ / static_cast<double>(loss_steps_);
  point.validation_loss = sums[0] / world_.size();
  point.wan_bytes = static_cast<uint64_t>(sums[1]);
  loss_sum_ = 0;
  loss_steps_ = 0;
  return curve != nullptr ? curve->Add(point) : Status();
}

uint64_t Trainer::WanBytes() const {
  uint64_t bytes = 0;
  for (const longhaul::PeerCounters& peer : world_.Counters()) {
    if (!peer.same_site) bytes += peer.bytes_sent;
  }
  return bytes;
}

}  // namespace train
