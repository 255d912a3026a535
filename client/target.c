/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/target.h"

#include <string.h>
#include <strings.h>

#include "common/text.h"

/* The gateway says the same of these fields, and is not asked. */
static int refuse(struct fault *fault, int result, const char *field, const char *next_step)
{
    failure_field(&fault->failure, result, "%s", field);
    return failure_next(&fault->failure, result, "%s", next_step);
}

int target_check(const char *domain, const char *incarnation, struct fault *fault)
{
    struct failure *f = &fault->failure;
    uint8_t ignored[16];

    if (domain == NULL || domain[0] == '\0') {
        return refuse(fault, failure_set(f, ERROR_INVALID_ARGUMENT, "no domain is named"), "domain",
                      "name it by domid, UUID or name");
    }
    if (strnlen(domain, TARGET_MAX_BYTES + 1) > TARGET_MAX_BYTES ||
        !text_is_utf8(domain, strlen(domain))) {
        return refuse(fault,
                      failure_set(f, ERROR_INVALID_ARGUMENT,
                                  "the domain's name is not UTF-8, or longer than %d bytes",
                                  TARGET_MAX_BYTES),
                      "domain", "copy it from the list of domains");
    }
    if (incarnation != NULL && incarnation[0] != '\0' &&
        !text_to_hex(incarnation, ignored, sizeof(ignored))) {
        return refuse(
            fault,
            failure_set(f, ERROR_INVALID_ARGUMENT, "an incarnation has 32 hexadecimal digits"),
            "incarnation", "copy it from an answer, or leave it out");
    }
    return 0;
}

/* What follows `prefix` in `domain`; NULL where it does not begin so. */
static const char *after(const char *domain, const char *prefix)
{
    size_t len = strlen(prefix);

    return strncmp(domain, prefix, len) == 0 ? domain + len : NULL;
}

static bool is_domid(const char *domain, uint64_t *domid)
{
    const char *digits = after(domain, "domid:");

    if (digits == NULL) {
        digits = domain;
    }
    /* Leading zeros are the gateway's to judge. */
    while (digits[0] == '0' && digits[1] != '\0') {
        digits++;
    }
    return text_to_u64(digits, UINT32_MAX, domid);
}

static bool is_uuid(const char *domain, uint8_t uuid[UUID_BYTES])
{
    const char *text = after(domain, "uuid:");

    return text_to_uuid(text != NULL ? text : domain, uuid);
}

static int mixed_up(const char *asked, const xenres_identity *identity, struct fault *fault)
{
    struct failure *f = &fault->failure;
    int result = failure_set(f, ERROR_INTERNAL,
                             "asked about %s, answered about domain %u (%s, incarnation %s)", asked,
                             identity->domid, identity->uuid, identity->incarnation);

    failure_cause(f, result, "a faulty gateway, or something between mixes up answers");
    return failure_next(f, result, "the answer was not used; report it");
}

int target_match(const char *domain, const char *incarnation, const xenres_identity *identity,
                 struct fault *fault)
{
    uint64_t domid;
    uint8_t asked_uuid[UUID_BYTES], uuid[UUID_BYTES];
    uint8_t ignored[16];

    if (!text_to_uuid(identity->uuid, uuid) ||
        !text_to_hex(identity->incarnation, ignored, sizeof(ignored))) {
        return failure_set(&fault->failure, ERROR_INTERNAL,
                           "the answer does not say which domain it is of");
    }
    if (is_domid(domain, &domid)) {
        if (domid != identity->domid) {
            return mixed_up(domain, identity, fault);
        }
    } else if (is_uuid(domain, asked_uuid) && memcmp(asked_uuid, uuid, sizeof(uuid)) != 0) {
        return mixed_up(domain, identity, fault);
    }
    if (incarnation != NULL && incarnation[0] != '\0' &&
        strcasecmp(incarnation, identity->incarnation) != 0) {
        return mixed_up(incarnation, identity, fault);
    }
    return 0;
}
