#include "curve.h"

#include <bit>
#include <cerrno>
#include <cinttypes>
#include <cstring>
#include <utility>

namespace train {
namespace {

using longhaul::Result;
using longhaul::Status;
using longhaul::StatusCode;

static_assert(std::endian::native == std::endian::little);

Status CannotWrite(const std::string& file) {
  return {StatusCode::kInvalidArgument,
          "cannot write " + file + ": " + std::strerror(errno)};
}

}  // namespace

Result<Curve> Curve::Open(const std::string& name) {
  std::FILE* file = name == "-" ? stdout : std::fopen(name.c_str(), "w");
  if (file == nullptr) return CannotWrite(name);
  Curve curve(file, name);
  Status status = curve.Flushed(std::fprintf(
      file, "step,seconds,training_loss,validation_loss,wan_bytes\n"));
  if (!status.ok()) return status;
  return curve;
}

Status Curve::Add(const Point& point) {
  return Flushed(std::fprintf(file_.get(),
                              "%" PRIu64 ",%.3f,%.5f,%.5f,%" PRIu64 "\n",
                              point.step, point.seconds, point.training_loss,
                              point.validation_loss, point.wan_bytes));
}

Status Curve::Flushed(int written) {
  if (written < 0 || std::fflush(file_.get()) != 0) return CannotWrite(name_);
  return {};
}

Status WriteVector(const std::string& name, const std::vector<float>& values) {
  std::FILE* file = std::fopen(name.c_str(), "wb");
  if (file == nullptr) return CannotWrite(name);
  const size_t written =
      std::fwrite(values.data(), sizeof(float), values.size(), file);
  if (std::fclose(file) != 0 || written != values.size()) {
    return CannotWrite(name);
  }
  return {};
}

}  // namespace train
