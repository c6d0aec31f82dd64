#!/usr/bin/env python3
"""Data-parallel training of a small network on generated data, started by torchrun.

Rank 0 prints the loss, which falls, and the network that NCCL uses between hosts. Every rank draws its own part of the
data; the gradients are averaged over all ranks by DistributedDataParallel, in buckets, with NCCL's all-reduce.

    torchrun --nnodes 4 --node-rank 0 --nproc-per-node 8 --master-addr a0.example.net train_ddp.py --steps 100
"""
import argparse
import os
import re
import tempfile
import time


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100, help="steps of training (%(default)s)")
    parser.add_argument("--batch", type=int, default=256, help="samples per rank and step (%(default)s)")
    parser.add_argument("--width", type=int, default=4096, help="of the hidden layers (%(default)s)")
    parser.add_argument("--depth", type=int, default=4, help="number of hidden layers (%(default)s)")
    parser.add_argument("--bucket-mb", type=int, default=100, help="gradients that are sent as one (%(default)s)")
    parser.add_argument("--every", type=int, default=10, help="steps between two lines of output (%(default)s)")
    return parser.parse_args()


def keep_nccl_log():
    """Has NCCL write its log to a file, unless the user wants it elsewhere. Returns the file's name, or None.

    Before the process group is made: NCCL reads these variables once.
    """
    if "NCCL_DEBUG" in os.environ or "NCCL_DEBUG_FILE" in os.environ:
        return None
    file = os.path.join(tempfile.mkdtemp(prefix="nccl-"), "log")
    os.environ.update(NCCL_DEBUG="INFO", NCCL_DEBUG_SUBSYS="INIT,NET", NCCL_DEBUG_FILE=file)
    return file


def network_in(log):
    """The network that NCCL says it uses, "Longhaul", "Socket", "IB"; None if it does not say."""
    found = re.findall(r"Using network (.+)", log)
    return found[-1].strip() if found else None


def network_of(file):
    if file is None:
        return "see NCCL's log"
    try:
        with open(file, encoding="utf-8", errors="replace") as log:
            return network_in(log.read()) or "none: all ranks are on one host, or NCCL does not say"
    except OSError as error:
        return f"not known: {error}"


def make_model(torch, width, depth):
    layers = [torch.nn.Linear(64, width), torch.nn.ReLU()]
    for _ in range(depth - 1):
        layers += [torch.nn.Linear(width, width), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(width, 1))


def train(torch, options, log_file):
    rank = torch.distributed.get_rank()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.manual_seed(0)  # the same weights everywhere
    model = make_model(torch, options.width, options.depth).to(device)
    model = torch.nn.parallel.DistributedDataParallel(
        model, device_ids=[device.index], bucket_cap_mb=options.bucket_mb, gradient_as_bucket_view=True
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    torch.manual_seed(1 + rank)  # other data on every rank
    if rank == 0:
        gradients = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
        print(f"ranks {torch.distributed.get_world_size()}, gradients {gradients / 2**20:.1f} MiB", flush=True)
    since = time.monotonic()
    for step in range(1, options.steps + 1):
        inputs = torch.randn(options.batch, 64, device=device)
        targets = inputs[:, :8].sum(dim=1, keepdim=True).sin()
        loss = torch.nn.functional.mse_loss(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step == 1 and rank == 0:
            torch.cuda.synchronize()
            print(f"network {network_of(log_file)}", flush=True)
        if step % options.every == 0:
            torch.distributed.all_reduce(loss.detach_(), op=torch.distributed.ReduceOp.AVG)
            if rank == 0:
                seconds = (time.monotonic() - since) / options.every
                print(f"step {step} loss {loss.item():.4f}, {seconds:.3f} s per step", flush=True)
            since = time.monotonic()


def main():
    options = arguments()
    log_file = keep_nccl_log()
    import torch  # after the environment is complete
    import torch.distributed

    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl")
    try:
        train(torch, options, log_file)
    finally:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
