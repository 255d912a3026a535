// SPDX-License-Identifier: Apache-2.0
// Copyright (C) 2026 The xenresd authors

// Package gateway is the way to the gateway that the environment names: TLS with a certificate on
// both sides.
package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
)

// Client returns what Connect's clients are made from, and the gateway's URL.
func Client() (*http.Client, string, error) {
	pem, err := os.ReadFile(os.Getenv("XENRES_CACERT"))
	if err != nil {
		return nil, "", fmt.Errorf("XENRES_CACERT: %w", err)
	}
	certificate, err := tls.LoadX509KeyPair(os.Getenv("XENRES_CERT"), os.Getenv("XENRES_KEY"))
	if err != nil {
		return nil, "", fmt.Errorf("XENRES_CERT and XENRES_KEY: %w", err)
	}
	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM(pem)
	config := &tls.Config{RootCAs: authorities, Certificates: []tls.Certificate{certificate}}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config}}, os.Getenv("XENRES_SERVER"), nil
}
