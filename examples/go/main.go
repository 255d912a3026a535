// SPDX-License-Identifier: Apache-2.0
// Copyright (C) 2026 The xenresd authors

// ask [DOMAIN]: asks a gateway from code that was generated from proto/.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"connectrpc.com/connect"

	"xenres.example/ask/gateway"
	xenresv1 "xenres.example/ask/gen/xenres/v1"
	"xenres.example/ask/gen/xenres/v1/xenresv1connect"
)

func main() {
	domain := "standby"
	if len(os.Args) > 1 {
		domain = os.Args[1]
	}
	if err := ask(context.Background(), domain); err != nil {
		log.Fatal(err)
	}
}

func ask(ctx context.Context, domain string) error {
	client, server, err := gateway.Client()
	if err != nil {
		return err
	}
	hosts := xenresv1connect.NewHostServiceClient(client, server)
	resources := xenresv1connect.NewResourceServiceClient(client, server)
	inspect := xenresv1connect.NewInspectServiceClient(client, server)
	grantTable := xenresv1.ResourceType_RESOURCE_TYPE_GRANT_TABLE

	host, err := hosts.GetHost(ctx, connect.NewRequest(&xenresv1.GetHostRequest{}))
	if err != nil {
		return err
	}
	fmt.Printf("host %s: Xen %s\n", host.Msg.Host.Hostname, host.Msg.Host.Hypervisor.Version)

	domains, err := hosts.ListDomains(ctx, connect.NewRequest(&xenresv1.ListDomainsRequest{
		Filter: &xenresv1.DomainFilter{
			NameGlob: "*s*",
			States:   []xenresv1.DomainState{xenresv1.DomainState_DOMAIN_STATE_PAUSED},
		},
	}))
	if err != nil {
		return err
	}
	for _, found := range domains.Msg.Domains {
		fmt.Printf("domain %d: %s\n", found.Identity.Domid, found.Identity.Name)
	}

	list, err := resources.ListResources(ctx, connect.NewRequest(&xenresv1.ListResourcesRequest{
		Domain: domain, Type: grantTable,
	}))
	if err != nil {
		return err
	}
	for _, r := range list.Msg.Resources {
		fmt.Printf("resource %s %d: %s\n", short(r.Type), r.Id, short(r.Availability))
	}

	stream, err := resources.ReadSnapshot(ctx, connect.NewRequest(&xenresv1.ReadSnapshotRequest{
		Domain: domain, Type: grantTable,
		FrameCountChoice: &xenresv1.ReadSnapshotRequest_FrameCount{FrameCount: 1},
	}))
	if err != nil {
		return err
	}
	defer stream.Close()
	bytes := 0
	for stream.Receive() {
		bytes += len(stream.Msg().GetChunk().GetFrames())
	}
	if stream.Err() != nil {
		return stream.Err()
	}
	fmt.Printf("first frame: %d bytes\n", bytes)

	_, err = inspect.GetGrantTable(ctx, connect.NewRequest(&xenresv1.GetGrantTableRequest{Domain: "nobody"}))
	if failed := new(connect.Error); errors.As(err, &failed) {
		fmt.Printf("error %s: %s\n", failed.Code(), failed.Message())
		for _, detail := range failed.Details() {
			value, _ := detail.Value()
			if failure, ok := value.(*xenresv1.XenFailure); ok {
				fmt.Printf("  cause: %s\n  next step: %s\n", failure.Cause, failure.NextStep)
			}
		}
	}
	return nil
}

// short is an enum's name as people write it: RESOURCE_TYPE_GRANT_TABLE is grant_table.
func short(value fmt.Stringer) string {
	name := strings.TrimPrefix(value.String(), "RESOURCE_TYPE_")
	return strings.ToLower(strings.TrimPrefix(name, "AVAILABILITY_"))
}
