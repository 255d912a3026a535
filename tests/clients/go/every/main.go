// SPDX-License-Identifier: Apache-2.0
// Copyright (C) 2026 The xenresd authors

// every proto|json|get: makes the calls that standard input lists (requests.json), with generated
// code, and prints what came of each: {"method", "messages", "error"}, a line a call.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"xenres.example/ask/gateway"
	"xenres.example/ask/gen/xenres/v1/xenresv1connect"
)

type detail struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

type failure struct {
	Code    string   `json:"code"`
	Message string   `json:"message"`
	Details []detail `json:"details"`
}

type outcome struct {
	Method   string            `json:"method"`
	Messages []json.RawMessage `json:"messages"`
	Error    *failure          `json:"error"`
}

// A call takes a request in JSON and gives the messages of its answer to say.
// A stream that has no end is left when say returns errEnough.
type call func(ctx context.Context, request []byte, say func(proto.Message) error) error

var errEnough = errors.New("as many messages as are wanted")

// Pointers to a message: T is a generated struct.
type message[T any] interface {
	*T
	proto.Message
}

func unary[Q, A any, PQ message[Q], PA message[A]](
	method func(context.Context, *connect.Request[Q]) (*connect.Response[A], error),
) call {
	return func(ctx context.Context, request []byte, say func(proto.Message) error) error {
		question := new(Q)
		if err := protojson.Unmarshal(request, PQ(question)); err != nil {
			return err
		}
		answer, err := method(ctx, connect.NewRequest(question))
		if err != nil {
			return err
		}
		return say(PA(answer.Msg))
	}
}

func stream[Q, A any, PQ message[Q], PA message[A]](
	method func(context.Context, *connect.Request[Q]) (*connect.ServerStreamForClient[A], error),
) call {
	return func(ctx context.Context, request []byte, say func(proto.Message) error) error {
		question := new(Q)
		if err := protojson.Unmarshal(request, PQ(question)); err != nil {
			return err
		}
		ctx, leave := context.WithCancel(ctx)
		answers, err := method(ctx, connect.NewRequest(question))
		if err != nil {
			leave()
			return err
		}
		defer answers.Close()
		defer leave() // first: closing one that goes on waits for its end
		for answers.Receive() {
			if err := say(PA(answers.Msg())); err != nil {
				return err
			}
		}
		return answers.Err()
	}
}

func calls(way string) (map[string]call, error) {
	client, server, err := gateway.Client()
	if err != nil {
		return nil, err
	}
	var options []connect.ClientOption
	switch way {
	case "json":
		options = append(options, connect.WithProtoJSON())
	case "get":
		options = append(options, connect.WithHTTPGet())
	}
	hosts := xenresv1connect.NewHostServiceClient(client, server, options...)
	resources := xenresv1connect.NewResourceServiceClient(client, server, options...)
	inspect := xenresv1connect.NewInspectServiceClient(client, server, options...)
	traces := xenresv1connect.NewTraceServiceClient(client, server, options...)
	access := xenresv1connect.NewAccessServiceClient(client, server, options...)
	return map[string]call{
		xenresv1connect.HostServiceGetHostProcedure:           unary(hosts.GetHost),
		xenresv1connect.HostServiceListDomainsProcedure:       unary(hosts.ListDomains),
		xenresv1connect.HostServiceWatchDomainsProcedure:      stream(hosts.WatchDomains),
		xenresv1connect.ResourceServiceListResourcesProcedure: unary(resources.ListResources),
		xenresv1connect.ResourceServiceGetSnapshotProcedure:   unary(resources.GetSnapshot),
		xenresv1connect.ResourceServiceReadSnapshotProcedure:  stream(resources.ReadSnapshot),
		xenresv1connect.ResourceServiceWatchProcedure:         stream(resources.Watch),
		xenresv1connect.InspectServiceGetGrantTableProcedure:  unary(inspect.GetGrantTable),
		xenresv1connect.InspectServiceGetIoreqServerProcedure: unary(inspect.GetIoreqServer),
		xenresv1connect.InspectServiceGetVcpuStatsProcedure:   unary(inspect.GetVcpuStats),
		xenresv1connect.TraceServiceStartTraceProcedure:       unary(traces.StartTrace),
		xenresv1connect.TraceServiceStopTraceProcedure:        unary(traces.StopTrace),
		xenresv1connect.TraceServiceRenewTraceProcedure:       unary(traces.RenewTrace),
		xenresv1connect.TraceServiceGetTraceProcedure:         unary(traces.GetTrace),
		xenresv1connect.TraceServiceListTracesProcedure:       unary(traces.ListTraces),
		xenresv1connect.TraceServiceReadTraceProcedure:        stream(traces.ReadTrace),
		xenresv1connect.AccessServiceWhoAmIProcedure:          unary(access.WhoAmI),
		xenresv1connect.AccessServiceExplainAccessProcedure:   unary(access.ExplainAccess),
	}, nil
}

func failureOf(err error) (*failure, error) {
	failed := new(connect.Error)
	if err == nil {
		return nil, nil
	}
	if !errors.As(err, &failed) {
		return nil, err
	}
	said := &failure{Code: failed.Code().String(), Message: failed.Message()}
	for _, d := range failed.Details() {
		said.Details = append(said.Details, detail{d.Type(), base64.RawStdEncoding.EncodeToString(d.Bytes())})
	}
	return said, nil
}

func run() error {
	var asked []struct {
		Method  string
		Request json.RawMessage
		Take    int
	}
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return err
	}
	known, err := calls(os.Args[1])
	if err != nil {
		return err
	}
	for _, a := range asked {
		method, ok := known["/"+a.Method]
		if !ok {
			return fmt.Errorf("%s is not in the generated code", a.Method)
		}
		said := outcome{Method: a.Method, Messages: []json.RawMessage{}}
		err := method(context.Background(), a.Request, func(m proto.Message) error {
			text, err := protojson.Marshal(m)
			said.Messages = append(said.Messages, text)
			if err == nil && len(said.Messages) == a.Take {
				return errEnough
			}
			return err
		})
		if errors.Is(err, errEnough) {
			err = nil
		}
		if said.Error, err = failureOf(err); err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(said); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
