// SPDX-License-Identifier: Apache-2.0
// Copyright (C) 2026 The xenresd authors

/*
 * States of a real Xen that no toolstack makes on purpose, for the tests to look at the gateway in them: a domain
 * number used again at once, an ioreq server without buffered requests, a device model of the old kind, a guest that
 * is told to go on, a grant that is in use. A program in dom0, nothing of the gateway's in it; each subcommand does one thing.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/mman.h>

#include "command.h"

#include <xendevicemodel.h>
#include <xengnttab.h>

// domains ------------------------------------------------------------------------------------------------------------

static void parse_uuid(const char *text, xen_domain_handle_t out)
{
    for (size_t i = 0; i < sizeof(xen_domain_handle_t); i++, text += 2) {
        text += *text == '-';
        if (sscanf(text, "%2hhx", &out[i]) != 1) {
            fprintf(stderr, "no UUID: it ends in %s\n", text);
            exit(USAGE);
        }
    }
}

// Xen itself takes any free number; only toolstacks ask it for the next one.
static int make(char **args)
{
    uint32_t domain = domain_number(args[0]);
    struct xen_domctl_createdomain config = {
        .max_vcpus = 1,
        .max_evtchn_port = -1U,
        .max_grant_frames = 4,
        .max_maptrack_frames = 4,
        .grant_opts = XEN_DOMCTL_GRANT_version(1),
    };

    parse_uuid(args[1], config.handle);
    if (xc_domain_create(xc, &domain, &config)) {
        return fail("xc_domain_create");
    }
    printf("%u\n", domain);
    return OK;
}

static int end(char **args)
{
    return xc_domain_destroy(xc, domain_number(args[0])) ? fail("xc_domain_destroy") : OK;
}

// The word at a guest-physical address; NULL when Xen refuses, with the reason printed.
static volatile uint32_t *guest_word(char **args)
{
    unsigned long address = number(args[1]);
    xen_pfn_t frame = address / XC_PAGE_SIZE;
    int refusal = 0;
    uint8_t *page = xenforeignmemory_map(memory, domain_number(args[0]), PROT_READ | PROT_WRITE, 1,
                                         &frame, &refusal);

    if (page && refusal) {
        errno = refusal;
    }
    if (!page || refusal) {
        fail("xenforeignmemory_map");
        return NULL;
    }
    return (volatile uint32_t *)(page + address % XC_PAGE_SIZE);
}

// The word that a waiting guest looks at.
static int poke(char **args)
{
    volatile uint32_t *word = guest_word(args);

    if (word) {
        *word = (uint32_t)number(args[2]);
    }
    return word ? OK : FAILED;
}

static int peek(char **args)
{
    volatile uint32_t *word = guest_word(args);

    if (word) {
        printf("%u\n", *word);
    }
    return word ? OK : FAILED;
}

static int wait_for_end(void)
{
    struct pollfd wait = { .fd = termination_fd(), .events = POLLIN };

    while (poll(&wait, 1, -1) < 0 && errno == EINTR)
        ;
    return OK;
}

// As a backend does: Xen tells the guest so by the bits of the entry's status.
static int use(char **args)
{
    xengnttab_handle *grants = xengnttab_open(NULL, 0);
    void *page;

    if (!grants) {
        return fail("xengnttab_open");
    }
    page = xengnttab_map_grant_ref(grants, domain_number(args[0]), (uint32_t)number(args[1]),
                                   PROT_READ | PROT_WRITE);
    if (!page) {
        return fail("xengnttab_map_grant_ref");
    }
    printf("using\n");
    fflush(stdout);
    wait_for_end();
    return xengnttab_unmap(grants, page, 1) ? fail("xengnttab_unmap") : OK;
}

// ioreq servers ------------------------------------------------------------------------------------------------------

static xendevicemodel_handle *model_open(void)
{
    xendevicemodel_handle *model = xendevicemodel_open(NULL, 0);

    if (!model) {
        exit(fail("xendevicemodel_open"));
    }
    return model;
}

static int server(char **args)
{
    xendevicemodel_handle *model = model_open();
    domid_t domain = domain_number(args[0]);
    ioservid_t id;

    if (xendevicemodel_create_ioreq_server(
            model, domain,
            number(args[1]) ? HVM_IOREQSRV_BUFIOREQ_ATOMIC : HVM_IOREQSRV_BUFIOREQ_OFF, &id)) {
        return fail("xendevicemodel_create_ioreq_server");
    }
    printf("id=%u\n", id);
    fflush(stdout);
    wait_for_end();
    return xendevicemodel_destroy_ioreq_server(model, domain, id)
               ? fail("xendevicemodel_destroy_ioreq_server")
               : OK;
}

// As device models did before the acquire interface. Xen refuses it once anybody has acquired the pages, and refuses
// to let them be acquired afterwards.
static int legacy(char **args)
{
    xen_pfn_t frame, buffered_frame;

    if (xendevicemodel_get_ioreq_server_info(model_open(), domain_number(args[0]),
                                             (ioservid_t)number(args[1]), &frame, &buffered_frame,
                                             NULL)) {
        return fail("xendevicemodel_get_ioreq_server_info");
    }
    printf("frame=%#lx buffered=%#lx\n", (unsigned long)frame, (unsigned long)buffered_frame);
    return OK;
}

// the command line ---------------------------------------------------------------------------------------------------

static const struct command commands[] = {
    { "make", 2, make,
      "make DOMAIN UUID           a domain of this very number, without memory or vCPUs" },
    { "end", 1, end, "end DOMAIN                 destroys it" },
    { "poke", 3, poke, "poke DOMAIN ADDRESS WORD   writes 32 bits at a guest-physical address" },
    { "peek", 2, peek, "peek DOMAIN ADDRESS        reads them" },
    { "use", 2, use,
      "use DOMAIN REF             maps what a guest has granted to dom0, says \"using\", stays "
      "until "
      "SIGTERM" },
    { "server", 2, server,
      "server DOMAIN BUFFERED     an ioreq server, with a buffered page or (0) without: says "
      "id=N,\n"
      "                             stays until SIGTERM" },
    { "legacy", 2, legacy,
      "legacy DOMAIN ID           has an ioreq server's pages mapped by frame number" },
};

int main(int argc, char **argv)
{
    return command_main(argc, argv, "provoke COMMAND [ARG...], as root in dom0.", commands,
                        sizeof commands / sizeof commands[0]);
}
