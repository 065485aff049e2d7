package main

import "github.com/wsguard/wsguard"

// messages is what a client says in chat.v1. Rooms are many, and who is in
// which is the hub's to know: no state of the connection says it.
var messages = wsguard.Messages{Types: map[string]wsguard.MessageType{
	"join":  {Schema: ofRoom},
	"leave": {Schema: ofRoom},
	"say":   {Schema: toRoom},

	// What a connection is asked for when its token is about to expire.
	"reauthenticate": {Schema: withToken},
}}

var ofRoom = wsguard.MustCompileSchema(`{
	"type": "object",
	"required": ["type", "room"],
	"additionalProperties": false,
	"properties": {
		"type": {"enum": ["join", "leave"]},
		"room": {"type": "string", "pattern": "^[a-z0-9-]{1,32}$"}
	}
}`)

var toRoom = wsguard.MustCompileSchema(`{
	"type": "object",
	"required": ["type", "room", "text"],
	"additionalProperties": false,
	"properties": {
		"type": {"const": "say"},
		"room": {"type": "string", "pattern": "^[a-z0-9-]{1,32}$"},
		"text": {"type": "string", "minLength": 1, "maxLength": 2000}
	}
}`)

var withToken = wsguard.MustCompileSchema(`{
	"type": "object",
	"required": ["type", "token"],
	"additionalProperties": false,
	"properties": {
		"type": {"const": "reauthenticate"},
		"token": {"type": "string", "maxLength": 8192}
	}
}`)
