// mpi_perf: MPI's all-reduce under the harness that times longhaul, so that
// both start, are timed and are checked alike. Started by mpirun.
#include <mpi.h>

#include <memory>
#include <string>

#include "base/text.h"
#include "harness/program.h"

namespace longhaul::bench {
namespace {

constexpr const char* kDescription =
    R"(Times MPI_Allreduce as longhaul_perf times longhaul's all-reduce: started by
mpirun, for example `mpirun -n 2 mpi_perf -b 64M -e 64M`. Types but half and
bfloat16, operators but avg.)";

Status Told(int code, const char* what) {
  if (code == MPI_SUCCESS) return {};
  return {StatusCode::kInternal, Text("%s: MPI error %d", what, code)};
}

MPI_Datatype TypeOf(DataType type) {
  switch (type) {
    case DataType::kInt8:
      return MPI_INT8_T;
    case DataType::kUint8:
      return MPI_UINT8_T;
    case DataType::kInt32:
      return MPI_INT32_T;
    case DataType::kUint32:
      return MPI_UINT32_T;
    case DataType::kInt64:
      return MPI_INT64_T;
    case DataType::kUint64:
      return MPI_UINT64_T;
    case DataType::kFloat32:
      return MPI_FLOAT;
    case DataType::kFloat64:
      return MPI_DOUBLE;
    default:
      return MPI_DATATYPE_NULL;
  }
}

MPI_Op OpOf(ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum:
      return MPI_SUM;
    case ReduceOp::kProd:
      return MPI_PROD;
    case ReduceOp::kMax:
      return MPI_MAX;
    case ReduceOp::kMin:
      return MPI_MIN;
    case ReduceOp::kAvg:
      break;
  }
  return MPI_OP_NULL;
}

class MpiSubject : public Subject {
 public:
  MpiSubject() {
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int site_count() const override { return 1; }
  std::string Describe() const override { return "mpi"; }

  Status Start(const void* input, void* output, size_t count, DataType type,
               ReduceOp op) override {
    MPI_Datatype mpi_type = TypeOf(type);
    MPI_Op mpi_op = OpOf(op);
    if (mpi_type == MPI_DATATYPE_NULL || mpi_op == MPI_OP_NULL) {
      return {StatusCode::kUnsupported, "MPI has no such type or operator"};
    }
    const void* from = input == output ? MPI_IN_PLACE : input;
    return Told(MPI_Allreduce(from, output, static_cast<int>(count), mpi_type,
                              mpi_op, MPI_COMM_WORLD),
                "MPI_Allreduce");
  }
  Status StartBarrier() override {
    return Told(MPI_Barrier(MPI_COMM_WORLD), "MPI_Barrier");
  }
  Status Finish() override { return {}; }  // Start blocks

 private:
  int rank_ = 0;
  int size_ = 0;
};

}  // namespace
}  // namespace longhaul::bench

int main(int argc, char** argv) {
  using namespace longhaul::bench;  // NOLINT(google-build-using-namespace)
  MPI_Init(&argc, &argv);
  const Program program{.name = "mpi_perf",
                        .description = kDescription,
                        .epilogue = "",
                        .starts_ranks = false,
                        .has_algorithms = false};
  const int code = RunProgram(
      program, "mpi", argc, argv,
      [](const Settings&) -> longhaul::Result<std::unique_ptr<Subject>> {
        return std::unique_ptr<Subject>(std::make_unique<MpiSubject>());
      });
  if (code != 0) MPI_Abort(MPI_COMM_WORLD, code);
  MPI_Finalize();
  return 0;
}
