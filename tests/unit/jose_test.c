/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/jose.h"

#include "auth/jwks.h"
#include "tests/lib/minter.h"
#include "tests/lib/unit.h"

/* --- the RFCs' own examples ------------------------------------------------------------------- */

static const struct example {
    const char *name;
    enum jose_algorithm algorithm;
    const char *key, *token;
} examples[] = {
    { "RFC 7515, A.2", JOSE_RS256,
      "\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"
      "wWJcyQoTbji9k0l8W26mPdd"
      "xHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_"
      "YpRPEwOWvG6b32690r2jZ47soMZo9wGz"
      "jb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"
      "UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3q"
      "Co5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"
      "h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
      "\"",
      "eyJhbGciOiJSUzI1NiJ9."
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvb"
      "S9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__"
      "dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh"
      "-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_"
      "nZLgrnbyTyWzO75vRK5h6xBArL"
      "IARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-"
      "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCn"
      "vWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw" },
    { "RFC 7515, A.3", JOSE_ES256,
      "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
      "\"y\":\"x_"
      "FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"",
      "eyJhbGciOiJFUzI1NiJ9."
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvb"
      "S9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-"
      "F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTU"
      "JqPP3-Kg6NU1Q" },
    { "RFC 8037, A.4", JOSE_EDDSA,
      "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"",
      "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-"
      "09PGcvMg3A"
      "IbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg" },
};

static struct jwks *set_of(const char *members)
{
    BUFFER_AUTO(text, 4096);
    struct jwks *set = NULL;
    struct failure f = { 0 };

    assert_true(buffer_printf(&text, "{\"keys\":[{\"kid\":\"k\",%s}]}", members));
    if (jwks_parse("set", text.data, text.len_bytes, &set, &f) != 0) {
        fail_msg("%s", f.message);
    }
    return set;
}

static void examples_of_the_rfcs_verify(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        const struct example *e = &examples[i];
        struct jwks *set = set_of(e->key);
        EVP_PKEY *key = jwks_find(set, "k")->key;
        const char *dot = strrchr(e->token, '.');
        size_t len = (size_t)(dot - e->token);
        BUFFER_AUTO(signature, 1024);
        BUFFER_AUTO(other, 1024);

        assert_true(jose_decode(&signature, dot + 1, strlen(dot + 1)));
        if (!jose_verify(e->algorithm, key, e->token, len, signature.data, signature.len_bytes)) {
            fail_msg("%s does not verify", e->name);
        }
        for (size_t byte = 0; byte < signature.len_bytes; byte++) {
            signature.data[byte] ^= 1;
            assert_false(
                jose_verify(e->algorithm, key, e->token, len, signature.data, signature.len_bytes));
            signature.data[byte] ^= 1;
        }
        assert_true(buffer_append(&other, e->token, len));
        other.data[len - 1] ^= 1;
        assert_false(
            jose_verify(e->algorithm, key, other.data, len, signature.data, signature.len_bytes));
        jwks_free(set);
    }
}

/* --- signatures ------------------------------------------------------------------------------- */

static const uint8_t message[] = "what is signed";

static size_t sign(const struct minter *m, enum jose_algorithm a, struct buffer *out)
{
    BUFFER_AUTO(text, 2048);

    assert_true(buffer_append(&text, message, sizeof(message)));
    minter_sign(m, a, &text);
    buffer_reset(out);
    assert_true(jose_decode(out, (char *)text.data + sizeof(message) + 1,
                            text.len_bytes - sizeof(message) - 1));
    return out->len_bytes;
}

static void each_algorithm_takes_its_own_signatures_only(void **state)
{
    const struct minter *m = *state;
    BUFFER_AUTO(signature, 2048);

    for (int made = 0; made < JOSE_ALGORITHM_COUNT; made++) {
        size_t len = sign(m, (enum jose_algorithm)made, &signature);

        for (int asked = 0; asked < JOSE_ALGORITHM_COUNT; asked++) {
            assert_int_equal(jose_verify((enum jose_algorithm)asked, m->keys[asked], message,
                                         sizeof(message), signature.data, len),
                             asked == made);
        }
        assert_false(jose_verify((enum jose_algorithm)made, m->keys[made], message, sizeof(message),
                                 signature.data, len - 1));
        assert_false(jose_verify((enum jose_algorithm)made, m->keys[made], message, sizeof(message),
                                 signature.data, 0));
        assert_true(buffer_append_byte(&signature, 0));
        assert_false(jose_verify((enum jose_algorithm)made, m->keys[made], message, sizeof(message),
                                 signature.data, len + 1));
    }
}

/* CVE-2022-21449: a verifier that does not look takes this for a signature of everything. */
static void zeros_are_no_signature(void **state)
{
    const struct minter *m = *state;
    static const uint8_t zeros[512];

    assert_false(jose_verify(JOSE_ES256, m->keys[JOSE_ES256], message, sizeof(message), zeros, 64));
    assert_false(jose_verify(JOSE_EDDSA, m->keys[JOSE_EDDSA], message, sizeof(message), zeros, 64));
    assert_false(
        jose_verify(JOSE_RS256, m->keys[JOSE_RS256], message, sizeof(message), zeros, 256));
}

/* --- text ------------------------------------------------------------------------------------- */

static void algorithms_have_exactly_their_names(void **state)
{
    static const char *const others[] = { "none",  "None",  "",      "HS256",  "HS384",  "HS512",
                                          "es256", "ES384", "RS512", "EdDSA ", "Ed25519" };
    enum jose_algorithm a = JOSE_ES256;

    (void)state;
    for (int i = 0; i < JOSE_ALGORITHM_COUNT; i++) {
        assert_true(jose_algorithm_find(jose_algorithm_name((enum jose_algorithm)i), &a));
        assert_int_equal(a, i);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_false(jose_algorithm_find(others[i], &a));
    }
}

static bool decodes(const char *text)
{
    BUFFER_AUTO(bytes, 64);

    return jose_decode(&bytes, text, strlen(text));
}

static void bytes_have_one_spelling(void **state)
{
    (void)state;
    assert_true(decodes("-_8"));
    assert_false(decodes("+_8"));
    assert_false(decodes("-/8"));
    assert_false(decodes("-_8="));
    assert_false(decodes("-_9")); /* bits left over */
    assert_false(decodes("-_8\n"));
    assert_false(decodes("-_8aa"));
}

static const char *refusal(const void *bytes, size_t len)
{
    const char *why = "";
    JOSE_AUTO *object = jose_object(bytes, len, &why);

    return object == NULL ? why : "";
}

static void objects_can_be_read_in_one_way_only(void **state)
{
    static const char twice[] = "{\"a\":1,\"\\u0061\":2}", deep[] = "{\"a\":{\"b\":1,\"b\":1}}",
                      latin[] = "{\"a\":\"\xe4\"}", nul[] = "{\"a\":\"\\u0000\"}", list[] = "[1]",
                      behind[] = "{} {}", nothing[] = "";

    (void)state;
    assert_string_equal(refusal("{\"a\":{\"b\":[]}}", 14), "");
    assert_string_equal(refusal(twice, strlen(twice)), "a member is in it twice");
    assert_string_equal(refusal(deep, strlen(deep)), "a member is in it twice");
    assert_string_equal(refusal(latin, strlen(latin)), "it is not UTF-8");
    assert_string_equal(refusal(nul, strlen(nul)), "it is not valid JSON");
    assert_string_equal(refusal(list, strlen(list)), "it is not a JSON object");
    assert_string_equal(refusal(behind, strlen(behind)), "it is not valid JSON");
    assert_string_equal(refusal(nothing, 0), "it is not valid JSON");
    assert_string_equal(refusal("{\"a\":1}\0", 8), "it is not valid JSON");
}

static int set_up(void **state)
{
    static struct minter m;

    minter_init(&m);
    *state = &m;
    return 0;
}

static int tear_down(void **state)
{
    minter_done(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_of_the_rfcs_verify),
        cmocka_unit_test(each_algorithm_takes_its_own_signatures_only),
        cmocka_unit_test(zeros_are_no_signature),
        cmocka_unit_test(algorithms_have_exactly_their_names),
        cmocka_unit_test(bytes_have_one_spelling),
        cmocka_unit_test(objects_can_be_read_in_one_way_only),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
