#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""usage: hook.py XEN

Puts vmtrace.c, which is beside this, into XEN, a source tree of Xen 4.17, and hooks it in: a few lines, each before or
after a line that is there exactly once. Anything else ends it, and the tree is of no use then.
"""

import pathlib
import shutil
import sys

# file, the line beside which (stripped), where, what
EDITS = (
    ("hvm/svm/Makefile", "obj-y += vmcb.o", "after", "obj-y += vmtrace.o\n"),
    ("include/asm/hvm/svm/vmcb.h", "uint64_t guest_sysenter_eip;", "after",
     "    struct { uint64_t total, exits, seq; uint32_t extra; bool active; } ipt_sw;\n"),
    ("hvm/svm/svm.c", "static struct hvm_function_table svm_function_table;", "after",
     "void svm_vmtrace_init(struct hvm_function_table *fns);\n"
     "void svm_vmtrace_vmexit(struct vcpu *v, const struct cpu_user_regs *regs);\n"),
    ("hvm/svm/svm.c", "return &svm_function_table;", "before", "    svm_vmtrace_init(&svm_function_table);\n"),
    ("hvm/svm/svm.c", "exit_reason = vmcb->exitcode;", "before", "    svm_vmtrace_vmexit(v, regs);\n"),
)


def edit(path, anchor, where, text):
    lines = path.read_text().splitlines(keepends=True)
    places = [number for number, line in enumerate(lines) if line.strip() == anchor]
    if len(places) != 1:
        sys.exit(f"hook.py: {path}: the line '{anchor}' is there {len(places)} times")
    lines.insert(places[0] + (where == "after"), text)
    path.write_text("".join(lines))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    x86 = pathlib.Path(sys.argv[1]) / "xen" / "arch" / "x86"
    shutil.copy(pathlib.Path(__file__).with_name("vmtrace.c"), x86 / "hvm" / "svm" / "vmtrace.c")
    for name, anchor, where, text in EDITS:
        edit(x86 / name, anchor, where, text)


main()
