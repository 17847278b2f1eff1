'use strict';

// Chat rooms over Server-Sent Events, the way a first Express app does it:
// a Set of open responses per room, and a loop that writes to each of them.

const express = require('express');

const app = express();
const rooms = new Map(); // room name -> Set of open responses

app.use(express.json({ limit: '1mb' }));
app.use(express.text({ type: 'text/plain', limit: '1mb' }));

app.get('/events/:room', (req, res) => {
  const { room } = req.params;

  res.set({
    'Content-Type': 'text/event-stream',
    'Cache-Control': 'no-cache',
  });
  res.flushHeaders();

  if (!rooms.has(room)) rooms.set(room, new Set());
  const members = rooms.get(room);
  members.add(res);

  res.on('close', () => {
    members.delete(res);
    // The room may be a new Set by now, of people who came after the last one left.
    if (members.size === 0 && rooms.get(room) === members) rooms.delete(room);
  });
});

app.post('/publish/:room', (req, res) => {
  const text = typeof req.body === 'string' ? req.body : req.body?.text;
  if (typeof text !== 'string') {
    res.status(400).json({ error: 'send {"text": "..."} as application/json, or text/plain' });
    return;
  }

  const type = req.query.type === 'chat' ? 'event: chat\n' : '';
  const event = `${type}data: ${JSON.stringify({ from: 'express', text })}\n\n`;

  const members = rooms.get(req.params.room) ?? new Set();
  for (const member of members) member.write(event);

  res.json({ receivers: members.size });
});

const server = app.listen(Number(process.argv[2] ?? 0), '127.0.0.1', (err) => {
  if (err) {
    console.error(err.message);
    process.exit(1);
  }
  console.log(`listening on ${server.address().port}`);
});

function stop() {
  process.exit(0);
}

process.on('SIGTERM', stop);

// Whoever starts this server holds its standard input open. The system closes
// it when they die, however they die, so the server never outlives them.
process.stdin.on('end', stop);
process.stdin.on('close', stop);
process.stdin.on('error', stop);
process.stdin.resume();
