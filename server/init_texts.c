/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/init_texts.h"

#include <stdio.h>

#include "server/config.h"

void init_text_config(struct buffer *out, const struct init_options *o)
{
    static const char *const files[] = { "policy.conf", "server.crt", "server.key", "export",
                                         "deny" };
    char paths[sizeof(files) / sizeof(files[0])][CONFIG_TEXT_BYTES];
    const struct config_given given[] = {
        { "server.user", o->user },    { "server.state_dir", o->state_dir },
        { "server.policy", paths[0] }, { "tls.certificate", paths[1] },
        { "tls.key", paths[2] },       { "mapper.export", paths[3] },
        { "server.deny", paths[4] },   { NULL, NULL },
    };

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(paths[i], sizeof(paths[i]), "%.*s/%s", CONFIG_TEXT_BYTES - 32, o->dir, files[i]);
    }
    buffer_append_string(
        out, "# What the gateway does: see xenresd.conf(5). What stands behind a comment "
             "sign is the default.\n"
             "#   xenresd --check --config FILE    says all that is wrong\n"
             "#   systemctl reload xenresd         takes certificates and policy anew\n"
             "\n");
    config_print_file(out, given);
    buffer_printf(out,
                  "\n"
                  "# Whom clients' certificates come from, and whom it may speak for: a stolen key "
                  "of it makes\n"
                  "# nobody else. It stands in the place of tls.client_ca, which may speak for "
                  "everybody. For\n"
                  "# others that it issues, add patterns "
                  "(\"spiffe:spiffe://example.org/agent/*\"), and for other\n"
                  "# authorities sections.\n"
                  "trust \"clients\" {\n"
                  "    ca = \"%.*s/clients.crt\"\n"
                  "    identities = { \"cn:*\" }\n"
                  "    # crl = \"FILE\"    their revocation lists\n"
                  "}\n",
                  CONFIG_TEXT_BYTES - 32, o->dir);
}

void init_text_policy(struct buffer *out, const struct init_options *o)
{
    buffer_printf(
        out,
        "# Who may do what: see xenresd-policy(5). What no rule allows is denied, and a rule "
        "that denies\n"
        "# wins over all that allow. The order does not matter.\n"
        "\n"
        "# The administrator sees all domains but dom0. To start traces costs guests time, so "
        "that\n"
        "# \"trace.control\" has to be named: here, and in the export list.\n"
        "rule \"administrator\" {\n"
        "    effect     = allow\n"
        "    identities = { \"cn:%s\" }\n"
        "    domains    = { \"all\" }\n"
        "    types      = { \"all\" }\n"
        "    actions    = { \"list\", \"snapshot\", \"watch\", \"decode\", \"trace.read\", "
        "\"admin\" }\n"
        "}\n"
        "\n"
        "# Somebody who may see of some domains what devices they share, and no raw frame:\n"
        "#\n"
        "# rule \"monitoring\" {\n"
        "#     effect     = allow\n"
        "#     identities = { \"spiffe:spiffe://example.org/agent/*\" }\n"
        "#     domains    = { \"name:web-*\" }\n"
        "#     types      = { \"grant_table\", \"vcpu_stats\" }\n"
        "#     actions    = { \"list\", \"decode\" }\n"
        "# }\n",
        o->admin);
}

void init_text_export(struct buffer *out, const struct init_options *o)
{
    (void)o;
    buffer_append_string(
        out,
        "# What may ever leave this host, whatever xenresd is told, and if it is taken over: see\n"
        "# xenresd-export(5). Nothing does that is not listed here, and \"all\" is never dom0. "
        "The\n"
        "# mapper reads it when it starts.\n"
        "\n"
        "allow all all list,snapshot,watch,decode,trace.read\n"
        "\n"
        "# Traces are started only of what is named for it:\n"
        "# allow name:test-* vmtrace_buf trace.control\n");
}

void init_text_deny(struct buffer *out, const struct init_options *o)
{
    (void)o;
    buffer_append_string(out, "# Who is kept out whatever he shows, one a line; nobody so far.\n"
                              "#\n"
                              "# fingerprint:HEX           SHA-256 of a certificate, 64 digits\n"
                              "# token:ID                  the id of a token\n"
                              "# identity:cn:somebody      an identity, as the policy names it\n");
}
