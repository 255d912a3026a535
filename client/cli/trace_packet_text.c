/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/trace_packet_text.h"

#include <inttypes.h>

static const char *const names[TRACE_PACKET_KINDS] = {
    [ppt_invalid] = "invalid", [ppt_unknown] = "unknown", [ppt_pad] = "pad",
    [ppt_psb] = "psb",         [ppt_psbend] = "psbend",   [ppt_fup] = "fup",
    [ppt_tip] = "tip",         [ppt_tip_pge] = "tip.pge", [ppt_tip_pgd] = "tip.pgd",
    [ppt_tnt_8] = "tnt.8",     [ppt_tnt_64] = "tnt.64",   [ppt_mode] = "mode",
    [ppt_pip] = "pip",         [ppt_vmcs] = "vmcs",       [ppt_cbr] = "cbr",
    [ppt_tsc] = "tsc",         [ppt_tma] = "tma",         [ppt_mtc] = "mtc",
    [ppt_cyc] = "cyc",         [ppt_stop] = "stop",       [ppt_ovf] = "ovf",
    [ppt_mnt] = "mnt",         [ppt_exstop] = "exstop",   [ppt_mwait] = "mwait",
    [ppt_pwre] = "pwre",       [ppt_pwrx] = "pwrx",       [ppt_ptw] = "ptw",
};

int trace_packet_kind_of(const struct pt_packet *p)
{
    return (unsigned)p->type < TRACE_PACKET_KINDS - 1 ? (int)p->type : TRACE_PACKET_KINDS - 1;
}

const char *trace_packet_kind_name(int kind)
{
    return kind >= 0 && kind < TRACE_PACKET_KINDS && names[kind] != NULL ? names[kind] : "other";
}

static void print_ip(struct buffer *out, const struct pt_packet_ip *p)
{
    if (p->ipc == pt_ipc_suppressed) {
        buffer_append_string(out, "  suppressed");
    } else {
        buffer_printf(out, "  %u: %016" PRIx64, (unsigned)p->ipc, p->ip);
    }
}

/* The oldest first, which is the highest. */
static void print_tnt(struct buffer *out, const struct pt_packet_tnt *p)
{
    buffer_printf(out, "  %u  ", p->bit_size);
    for (unsigned i = p->bit_size; i > 0; i--) {
        buffer_append_byte(out, (p->payload >> (i - 1) & 1) != 0 ? '!' : '.');
    }
}

static void print_mode(struct buffer *out, const struct pt_packet_mode *p)
{
    if (p->leaf == pt_mol_exec) {
        buffer_printf(out, ".exec  cs.l %u  cs.d %u", (unsigned)p->bits.exec.csl,
                      (unsigned)p->bits.exec.csd);
    } else if (p->leaf == pt_mol_tsx) {
        buffer_printf(out, ".tsx  intx %u  abrt %u", (unsigned)p->bits.tsx.intx,
                      (unsigned)p->bits.tsx.abrt);
    }
}

void trace_packet_print(struct buffer *out, const struct pt_packet *p)
{
    buffer_append_string(out, trace_packet_kind_name(trace_packet_kind_of(p)));
    switch (p->type) {
    case ppt_fup:
    case ppt_tip:
    case ppt_tip_pge:
    case ppt_tip_pgd: print_ip(out, &p->payload.ip); break;
    case ppt_tnt_8:
    case ppt_tnt_64: print_tnt(out, &p->payload.tnt); break;
    case ppt_mode: print_mode(out, &p->payload.mode); break;
    case ppt_pip:
        buffer_printf(out, "  cr3 %016" PRIx64 "  nr %u", p->payload.pip.cr3,
                      (unsigned)p->payload.pip.nr);
        break;
    case ppt_vmcs: buffer_printf(out, "  %016" PRIx64, p->payload.vmcs.base); break;
    case ppt_tsc: buffer_printf(out, "  %" PRIu64, p->payload.tsc.tsc); break;
    case ppt_cbr: buffer_printf(out, "  %u", (unsigned)p->payload.cbr.ratio); break;
    case ppt_tma:
        buffer_printf(out, "  ctc %u  fc %u", (unsigned)p->payload.tma.ctc,
                      (unsigned)p->payload.tma.fc);
        break;
    case ppt_mtc: buffer_printf(out, "  %u", (unsigned)p->payload.mtc.ctc); break;
    case ppt_cyc: buffer_printf(out, "  %" PRIu64, p->payload.cyc.value); break;
    case ppt_mnt: buffer_printf(out, "  %016" PRIx64, p->payload.mnt.payload); break;
    default: break; /* a name says all of them, or all that we show */
    }
}
