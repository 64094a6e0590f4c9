// A worker for tardis-dev: node tardis_peer.mjs FOLDER PEER TAPE. FOLDER holds its node_modules.
//
// Frames go through JSON.parse, the package's own mapper, and its OrderBook ("tardis-book", of which 400 levels a side
// are taken every two seconds) or its computeBookSnapshots ("tardis-snapshots"); "parse" is JSON.parse alone.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'

const [folder, peer, tape] = process.argv.slice(2)
const tardis = createRequire(resolve(folder, 'index.js'))('tardis-dev')
const LEVELS = 400
const CADENCE_NS = 2_000_000_000
const lines = readFileSync(tape, 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line))
const okx = lines[0].url.includes('okx')
const http = lines.findIndex((line) => line.dir === 'http')

function message(line) {
  const parsed = JSON.parse(line.frame)
  return line.dir === 'http' ? { stream: 'btcusdt@depthSnapshot', generated: true, data: parsed } : parsed
}

function best(levels, count) {
  const found = []
  for (const level of levels) {
    found.push([level.price, level.amount])
    if (found.length === count) break
  }
  return found
}

function booked() {
  // A mapper made for a moment of now reads the public channel.
  const now = new Date()
  const mapper = tardis.normalizeBookChanges(okx ? 'okex-swap' : 'binance-futures', now)
  const book = new tardis.OrderBook()
  const compute = tardis.computeBookSnapshots({ depth: LEVELS, interval: CADENCE_NS / 1e6 })()
  let bucket
  let count = 0
  let kept
  for (const line of lines) {
    const parsed = message(line)
    if (!mapper.canHandle(parsed)) continue
    for (const change of mapper.map(parsed, now)) {
      if (peer === 'tardis-snapshots') {
        for (const snapshot of compute.compute(change)) {
          kept = snapshot
          count += 1
        }
        continue
      }
      book.update(change)
      const at = Math.floor(line.recv_ns / CADENCE_NS)
      if (at !== bucket) {
        bucket = at
        kept = { bids: best(book.bids(), LEVELS), asks: best(book.asks(), LEVELS) }
        count += 1
      }
    }
  }
  if (peer === 'tardis-snapshots') return { best: null, lines: count }
  return { best: [book.bestBid().price, book.bestAsk().price], lines: count, levels: kept.bids.length }
}

function parsed() {
  for (const line of lines) JSON.parse(line.frame)
  return {}
}

const run = peer === 'parse' ? parsed : booked
console.log(JSON.stringify({ ready: peer, http }))
for await (const _ of createInterface({ input: process.stdin })) {
  global.gc?.()
  const cpu = process.cpuUsage()
  const begun = process.hrtime.bigint()
  const told = run()
  const wall = Number(process.hrtime.bigint() - begun) / 1e9
  const used = process.cpuUsage(cpu)
  const cpu_s = (used.user + used.system) / 1e6
  const rss_bytes = process.resourceUsage().maxRSS * 1024
  console.log(JSON.stringify({ cpu_s, wall_s: wall, count: lines.length, rss_bytes, ...told }))
}
