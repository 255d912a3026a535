/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The certificates and revocation lists that a configuration names, as they are and as they will be soon.
 * Reads files; changes nothing. Any thread.
 */
#ifndef XENRES_SERVER_CHECK_CERTIFICATES_H
#define XENRES_SERVER_CHECK_CERTIFICATES_H

#include <stddef.h>
#include <stdint.h>

#include "auth/examine.h"
#include "server/config.h"

typedef void check_tell(void *arg, const char *option, const char *path,
                        const struct examine_finding *finding);

/* Those of the server's certificate, of which `pem` is the text. */
void check_server_certificate(const struct config *config, const void *pem, size_t len_bytes,
                              int64_t now_s, check_tell *tell, void *arg);
/* Each finding, with the option that names the file, and the file. What cannot be read at all is
 * passed over: material_load() says why. */
void check_certificates(const struct config *config, int64_t now_s, check_tell *tell, void *arg);

#endif
